# SPDX-License-Identifier: Apache-2.0
"""Intersection over union of semantic maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from depthlab_core.strict_load import require


class SemanticIou:
    """Mean IoU from one confusion matrix over all images (Cityscapes' pixel-level measure).

    Args:
        class_names: By class id.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self._names = list(class_names)
        self.confusion = np.zeros((len(self._names), len(self._names)), dtype=np.int64)

    def update(self, prediction: npt.NDArray[np.integer], truth: npt.NDArray[np.integer]) -> None:
        """Count an image.

        Args:
            prediction: Class ids ``(H, W)``. Predicted void must be given as some class that is
                wrong, or be left to the caller to fill.
            truth: Class ids ``(H, W)``; values that are no class id are not counted.

        Raises:
            ValueError: If the maps are of different shapes, or a counted pixel has no class.
        """
        expected = f"{truth.shape}, the truth's"
        require(prediction.shape == truth.shape, "prediction", prediction.shape, expected)
        count = len(self._names)
        counted = (truth >= 0) & (truth < count)
        predicted = prediction[counted].astype(np.int64)
        # Others would count as some class of another row of the matrix.
        others = np.unique(predicted[(predicted < 0) | (predicted >= count)]).tolist()
        require(not others, "prediction", others, f"class ids, 0 to {count - 1}")
        pairs = truth[counted].astype(np.int64) * count + predicted
        self.confusion += np.bincount(pairs, minlength=count**2).reshape(count, count)

    def result(self) -> dict[str, float]:
        """Return ``miou`` and ``iou/CLASS`` of classes that are true or predicted; fractions."""
        correct = np.diag(self.confusion)
        union = self.confusion.sum(0) + self.confusion.sum(1) - correct
        # As Cityscapes does: what is predicted and never true counts as 0.
        occurs = union > 0
        values = {
            f"iou/{name}": float(correct[i] / union[i])
            for i, name in enumerate(self._names)
            if occurs[i]
        }
        mean = float(np.mean(list(values.values()))) if values else float("nan")
        return {"miou": mean, **values}
