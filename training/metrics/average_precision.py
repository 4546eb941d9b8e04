# SPDX-License-Identifier: Apache-2.0
"""Average precision of things, as Cityscapes' instance-level evaluation defines it.

A panoptic map has no overlapping segments, so at the IoU thresholds in use, all of 0.5 or more, a
true instance has at most one match and no two predictions compete for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from depthlab_core.labels import VOID, LabelSet
from depthlab_core.metrics.panoptic import IntMap
from depthlab_core.strict_load import require

Values = npt.NDArray[np.float64]

_THRESHOLDS = np.arange(0.5, 1.0, 0.05)
_SMALLEST_AREA = 100
"""True instances below this many pixels are neither to be found nor an error to find."""


@dataclass
class _Tally:
    """What became of one class's instances, over all images.

    Attributes:
        true: Per true instance that counts: the largest IoU and that prediction's score.
        predicted: Per prediction: score, largest IoU with any true region of the class, share of
            its pixels on what does not count (void, crowds, small instances).
    """

    true: list[tuple[float, float]] = field(default_factory=list)
    predicted: list[tuple[float, float, float]] = field(default_factory=list)


class AveragePrecision:
    """Collects instances over images.

    Args:
        labels: Classes.
    """

    def __init__(self, labels: LabelSet) -> None:
        self._labels = labels
        self._tallies = {category_id: _Tally() for category_id in labels.thing_ids}

    def update(self, prediction: IntMap, truth: IntMap, scores: Mapping[int, float]) -> None:
        """Count an image.

        Args:
            prediction: ``category_id * label_divisor + instance_id``, ``(H, W)``; -1 = void.
            truth: The same; things with instance id 0 are crowds, -1 is unlabelled.
            scores: By predicted panoptic id; higher is surer.

        Raises:
            ValueError: If the maps are of different shapes.
        """
        # Shapes of as many pixels, such as those of a turned map, would be compared otherwise.
        expected = f"{truth.shape}, the truth's"
        require(prediction.shape == truth.shape, "prediction", prediction.shape, expected)
        divisor = self._labels.label_divisor
        predicted_ids, predicted_index = np.unique(prediction, return_inverse=True)
        true_ids, true_index = np.unique(truth, return_inverse=True)
        shape = (len(predicted_ids), len(true_ids))
        pairs = predicted_index.ravel() * shape[1] + true_index.ravel()
        overlap = np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
        predicted_area, true_area = overlap.sum(1), overlap.sum(0)
        iou = overlap / (predicted_area[:, None] + true_area - overlap)
        counts = (true_ids % divisor > 0) & (true_area >= _SMALLEST_AREA)
        for category_id, tally in self._tallies.items():
            predicted = np.flatnonzero(predicted_ids // divisor == category_id)
            true = np.flatnonzero(true_ids // divisor == category_id)
            score = [scores[int(predicted_ids[i])] for i in predicted]
            for j in true[counts[true]]:
                column = iou[predicted, j]
                best = int(column.argmax()) if len(column) else -1
                tally.true.append((float(column[best]), score[best]) if len(column) else (0, 0))
            # A crowd of small area counts twice in Cityscapes' own evaluator, too.
            ignored = true[true_ids[true] % divisor == 0].tolist()
            ignored += true[true_area[true] < _SMALLEST_AREA].tolist()
            ignored += np.flatnonzero(true_ids == VOID).tolist()
            for i, value in zip(predicted, score, strict=True):
                best_iou = float(iou[i, true].max(initial=0.0))
                share = float(overlap[i, ignored].sum() / predicted_area[i])
                tally.predicted.append((value, best_iou, share))

    def result(self) -> dict[str, float]:
        """Return ``ap``, ``ap50`` and ``ap/CLASS``, as fractions.

        Classes without a true instance are left out.
        """
        by_class = {
            self._labels.categories[category_id].name: np.array(
                [_average_precision(tally, threshold) for threshold in _THRESHOLDS]
            )
            for category_id, tally in self._tallies.items()
            if tally.true
        }
        if not by_class:
            return {}
        table = np.stack(list(by_class.values()))
        return {
            "ap": float(table.mean()),
            "ap50": float(table[:, 0].mean()),
            **{f"ap/{name}": float(values.mean()) for name, values in by_class.items()},
        }


def _average_precision(tally: _Tally, threshold: float) -> float:
    """Return the area under one class's stepwise precision-recall curve."""
    hits = [score for iou, score in tally.true if iou > threshold]
    false = [
        score
        for score, iou, ignored in tally.predicted
        if iou <= threshold and ignored <= threshold
    ]
    score = np.array(hits + false)
    if not len(hits):
        return 0.0
    order = np.argsort(-score)
    is_hit = np.arange(len(score))[order] < len(hits)
    # One point of the curve for each score that occurs, however many share it.
    last_of_score = np.append(np.diff(score[order]) != 0, True)
    true_positives = np.cumsum(is_hit)[last_of_score]
    precision = true_positives / (np.flatnonzero(last_of_score) + 1)
    recall = true_positives / len(tally.true)
    return float(_step_widths(recall) @ np.append(precision[::-1], 1.0))


def _step_widths(recall: Values) -> Values:
    """Return the widths that Cityscapes gives the points of the curve, from high recall to 0.

    Each point stands for half of the steps on its two sides.
    """
    points = np.append(recall[::-1], 0.0)
    padded = np.concatenate([points[:1], points, [0.0]])
    widths: Values = (padded[:-2] - padded[2:]) / 2
    return widths
