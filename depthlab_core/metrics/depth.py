# SPDX-License-Identifier: Apache-2.0
"""Errors of depth, per pixel and per segment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from depthlab_core.labels import LabelSet
from depthlab_core.metrics.panoptic import IntMap

FloatMap = npt.NDArray[np.floating]
Values = dict[str, float]

BANDS = ((0.0, 10.0), (10.0, 20.0), (20.0, 40.0), (40.0, 80.0), (80.0, float("inf")))
"""Distance bands of the report, metres."""


def depth_errors(depth: npt.NDArray[np.float64], truth: npt.NDArray[np.float64]) -> Values:
    """Compute the usual errors over corresponding positive values in metres.

    Returns:
        abs_rel, sq_rel, rmse (m), rmse_log, silog (x100), delta1 to delta3 (fractions).
    """
    difference = depth - truth
    log_difference = np.log(depth) - np.log(truth)
    ratio = np.maximum(depth / truth, truth / depth)
    variance = np.mean(log_difference**2) - np.mean(log_difference) ** 2
    return {
        "abs_rel": float(np.mean(np.abs(difference) / truth)),
        "sq_rel": float(np.mean(difference**2 / truth)),
        "rmse": float(np.sqrt(np.mean(difference**2))),
        "rmse_log": float(np.sqrt(np.mean(log_difference**2))),
        "silog": float(100 * np.sqrt(max(float(variance), 0.0))),
        "delta1": float(np.mean(ratio < 1.25)),
        "delta2": float(np.mean(ratio < 1.25**2)),
        "delta3": float(np.mean(ratio < 1.25**3)),
    }


class DepthErrors:
    """Depth errors, averaged over images; also of the border band and the interior.

    An image without any answer has no errors, but a ``coverage`` of 0.

    Args:
        max_depth: Truth beyond this many metres is not counted, and predictions are limited to it.
        border: Share of height and width on every side that counts as border band.
    """

    def __init__(self, max_depth: float = 80.0, border: float = 0.08) -> None:
        self._max_depth = max_depth
        self._border = border
        self._images: list[Values] = []

    def update(self, depth: FloatMap, truth: FloatMap) -> Values | None:
        """Count an image.

        Args:
            depth: Predicted metres ``(H, W)``, NaN = unknown.
            truth: Metres ``(H, W)``, 0 = unknown.

        Returns:
            This image's errors; None where nothing can be compared.
        """
        known = (truth > 0) & (truth <= self._max_depth)
        answered = known & np.isfinite(depth)
        if not answered.any():
            if known.any():
                self._images.append({"coverage": 0.0})
            return None
        predicted = np.clip(depth.astype(np.float64), 1e-3, self._max_depth)
        true = truth.astype(np.float64)
        values = depth_errors(predicted[answered], true[answered])
        values["coverage"] = float(answered.sum() / known.sum())
        values["median_ratio"] = float(np.median(predicted[answered] / true[answered]))
        height, width = truth.shape
        dy, dx = round(self._border * height), round(self._border * width)
        interior = np.zeros(truth.shape, dtype=bool)
        interior[dy : height - dy, dx : width - dx] = True
        for name, part in (("interior", interior), ("border", ~interior)):
            if (answered & part).any():
                error = np.abs(predicted - true)[answered & part] / true[answered & part]
                values[f"abs_rel_{name}"] = float(error.mean())
        self._images.append(values)
        return values

    def result(self) -> Values:
        """Return the means over images."""
        names = dict.fromkeys(name for image in self._images for name in image)
        return {
            name: float(np.mean([image[name] for image in self._images if name in image]))
            for name in names
        }


class SegmentDepthErrors:
    """Relative error of each segment's median depth, over true positives.

    Args:
        labels: Classes.
    """

    def __init__(self, labels: LabelSet) -> None:
        self._labels = labels
        self._rows: list[tuple[int, float, float]] = []

    def update(
        self,
        matched: Sequence[tuple[int, int, float]],
        prediction: IntMap,
        truth: IntMap,
        depth: FloatMap,
        true_depth: FloatMap,
    ) -> None:
        """Count the matched segments (predicted id, true id, IoU) of an image.

        The predicted median is over the predicted segment, the true one over the true segment.
        """
        for predicted_id, true_id, _ in matched:
            predicted = depth[(prediction == predicted_id) & np.isfinite(depth)]
            true = true_depth[(truth == true_id) & (true_depth > 0)]
            if predicted.size and true.size:
                distance = float(np.median(true))
                error = abs(float(np.median(predicted)) - distance) / distance
                self._rows.append((true_id // self._labels.label_divisor, distance, error))

    def result(self) -> Values:
        """Return median and mean relative error: over all, by class and by distance band."""
        if not self._rows:
            return {}
        errors = np.array([error for _, _, error in self._rows])
        distances = np.array([distance for _, distance, _ in self._rows])
        categories = np.array([category for category, _, _ in self._rows])
        values = {
            "segment_depth": float(np.median(errors)),
            "segment_depth_mean": float(errors.mean()),
            "segments": float(len(errors)),
        }
        for category in self._labels.categories:
            part = categories == category.id
            if part.any():
                values[f"segment_depth/{category.name}"] = float(np.median(errors[part]))
        for low, high in BANDS:
            part = (distances >= low) & (distances < high)
            if part.any():
                values[f"segment_depth/{low:g}-{high:g}m"] = float(np.median(errors[part]))
        return values
