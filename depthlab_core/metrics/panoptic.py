# SPDX-License-Identifier: Apache-2.0
"""Panoptic quality (Kirillov et al., CVPR 2019), as cityscapesscripts computes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depthlab_core.labels import VOID, LabelSet
from depthlab_core.strict_load import require

IntMap = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Matches:
    """What became of the segments of one image.

    Attributes:
        matched: (predicted id, true id, IoU) of true positives.
        false_positives, false_negatives: Panoptic ids.
    """

    matched: list[tuple[int, int, float]]
    false_positives: list[int]
    false_negatives: list[int]


def match_segments(prediction: IntMap, truth: IntMap, labels: LabelSet) -> Matches:
    """Match predicted and true segments of one image.

    Args:
        prediction: ``category_id * label_divisor + instance_id``, ``(H, W)``; -1 = void.
        truth: The same; things with instance id 0 are crowds, -1 is unlabelled.
        labels: Divisor and things.

    Returns:
        Same-class pairs with an IoU above 0.5, unlabelled pixels not counted, and what is left:
        predictions that lie more than half on unlabelled pixels or on crowds of their class, and
        crowds themselves, are no errors.

    Raises:
        ValueError: If the maps are of different shapes.
    """
    expected = f"{truth.shape}, the truth's"
    require(prediction.shape == truth.shape, "prediction", prediction.shape, expected)
    predicted_ids, predicted_index = np.unique(prediction, return_inverse=True)
    true_ids, true_index = np.unique(truth, return_inverse=True)
    overlap = np.bincount(
        predicted_index.ravel() * len(true_ids) + true_index.ravel(),
        minlength=len(predicted_ids) * len(true_ids),
    ).reshape(len(predicted_ids), len(true_ids))
    predicted_area, true_area = overlap.sum(1), overlap.sum(0)
    on_void = overlap[:, true_ids == VOID].sum(1)
    divisor = labels.label_divisor
    is_crowd = np.array(
        [i >= 0 and i % divisor == 0 and i // divisor in labels.thing_ids for i in true_ids]
    )

    matched: list[tuple[int, int, float]] = []
    left_predicted = {i: int(p) for i, p in enumerate(predicted_ids) if p != VOID}
    left_true = {j: int(t) for j, t in enumerate(true_ids) if t != VOID and not is_crowd[j]}
    for i, j in zip(*np.nonzero(overlap), strict=True):
        predicted, true = int(predicted_ids[i]), int(true_ids[j])
        if VOID in (predicted, true) or is_crowd[j] or predicted // divisor != true // divisor:
            continue
        intersection = int(overlap[i, j])
        union = int(predicted_area[i] + true_area[j] - intersection - on_void[i])
        if 2 * intersection > union:
            matched.append((predicted, true, intersection / union))
            del left_predicted[int(i)], left_true[int(j)]

    false_positives = []
    for i, predicted in left_predicted.items():
        same_crowd = is_crowd & (true_ids // divisor == predicted // divisor)
        ignored = on_void[i] + overlap[i, same_crowd].sum()
        if 2 * ignored <= predicted_area[i]:
            false_positives.append(predicted)
    return Matches(matched, false_positives, list(left_true.values()))


class PanopticQuality:
    """Collects matches over images.

    Args:
        labels: Classes.
    """

    def __init__(self, labels: LabelSet) -> None:
        self._labels = labels
        count = len(labels)
        self._iou = np.zeros(count)
        self._true_positives = np.zeros(count, dtype=np.int64)
        self._false_positives = np.zeros(count, dtype=np.int64)
        self._false_negatives = np.zeros(count, dtype=np.int64)

    def update(self, prediction: IntMap, truth: IntMap) -> Matches:
        """Count an image; see ``match_segments``."""
        matches = match_segments(prediction, truth, self._labels)
        divisor = self._labels.label_divisor
        for _, true, iou in matches.matched:
            self._iou[true // divisor] += iou
            self._true_positives[true // divisor] += 1
        for predicted in matches.false_positives:
            self._false_positives[predicted // divisor] += 1
        for true in matches.false_negatives:
            self._false_negatives[true // divisor] += 1
        return matches

    def result(self) -> dict[str, float]:
        """Return PQ, SQ, RQ as fractions: over all classes, things, stuff, and per class.

        Classes that occur neither in truth nor in predictions are left out of the means.
        """
        tp, fp, fn = self._true_positives, self._false_positives, self._false_negatives
        occurs = tp + fp + fn > 0
        rq = tp / np.maximum(tp + fp / 2 + fn / 2, 0.5)
        sq = self._iou / np.maximum(tp, 1)
        pq = sq * rq
        is_thing = np.isin(np.arange(len(self._labels)), self._labels.thing_ids)
        values: dict[str, float] = {}
        for suffix, part in (
            ("", occurs),
            ("_things", occurs & is_thing),
            ("_stuff", occurs & ~is_thing),
        ):
            for name, value in (("pq", pq), ("sq", sq), ("rq", rq)):
                values[name + suffix] = float(value[part].mean()) if part.any() else float("nan")
        for category in self._labels.categories:
            if occurs[category.id]:
                values[f"pq/{category.name}"] = float(pq[category.id])
        return values


class DepthAwarePanopticQuality:
    """Panoptic quality in which pixels of wrong depth become void (ViP-DeepLab, CVPR 2021).

    Args:
        labels: Classes.
        thresholds: The relative errors of depth that are allowed.
    """

    def __init__(self, labels: LabelSet, thresholds: tuple[float, ...] = (0.5, 0.25, 0.1)) -> None:
        self._qualities = {threshold: PanopticQuality(labels) for threshold in thresholds}

    def update(
        self,
        prediction: IntMap,
        truth: IntMap,
        depth: npt.NDArray[np.floating],
        true_depth: npt.NDArray[np.floating],
    ) -> None:
        """Count an image; depth in metres, NaN predicted and 0 in the truth = unknown."""
        known = true_depth > 0
        error = np.full(known.shape, 0.0)
        predicted = np.where(np.isfinite(depth[known]), depth[known], np.inf)
        error[known] = np.abs(predicted - true_depth[known]) / true_depth[known]
        for threshold, quality in self._qualities.items():
            quality.update(np.where(error > threshold, np.int64(VOID), prediction), truth)

    def result(self) -> dict[str, float]:
        """Return ``dpq`` and ``dpq@THRESHOLD``, as fractions."""
        values = {f"dpq@{t:g}": q.result()["pq"] for t, q in self._qualities.items()}
        return {"dpq": float(np.mean(list(values.values()))), **values}
