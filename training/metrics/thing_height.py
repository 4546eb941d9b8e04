# SPDX-License-Identifier: Apache-2.0
"""Whether found things are as tall in the image as they are in truth.

A thing's size in metres is told by its pixels times its depth, so an error of its outline looks
like one of its depth where truth is missing. This is the share of the outline.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from depthlab_core.labels import LabelSet
from depthlab_core.metrics.panoptic import IntMap

BANDS = ((0, 10), (10, 20), (20, 40), (40, 80), (80, np.inf))
"""True heights in pixels that are told apart."""


class ThingHeights:
    """Predicted over true height of the boxes of true positives.

    Args:
        labels: Classes.
    """

    def __init__(self, labels: LabelSet) -> None:
        self._things = set(labels.thing_ids)
        self._divisor = labels.label_divisor
        self._rows: list[tuple[int, int]] = []

    def update(
        self, matched: Sequence[tuple[int, int, float]], prediction: IntMap, truth: IntMap
    ) -> None:
        """Count the matched things (predicted id, true id, IoU) of an image.

        Things that the image's edge cuts off, in prediction or truth, do not count.
        """
        for predicted_id, true_id, _ in matched:
            if true_id // self._divisor not in self._things:
                continue
            true, predicted = _height(truth == true_id), _height(prediction == predicted_id)
            if true is not None and predicted is not None:
                self._rows.append((true, predicted))

    def result(self) -> dict[str, float]:
        """Return the median ratio: over all, and by true height in pixels (``10-20px``)."""
        if not self._rows:
            return {}
        true, predicted = np.array(self._rows, float).T
        ratio = predicted / true
        values = {"thing_height": float(np.median(ratio))}
        for low, high in BANDS:
            part = (true >= low) & (true < high)
            if part.any():
                values[f"thing_height/{low:g}-{high:g}px"] = float(np.median(ratio[part]))
        return values


def _height(mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> int | None:
    """Return the rows that a mask spans; None if it touches the image's edge."""
    if mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any():
        return None
    rows = np.flatnonzero(mask.any(axis=1))
    return int(rows[-1] - rows[0] + 1)
