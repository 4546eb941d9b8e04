# SPDX-License-Identifier: Apache-2.0
"""Pictures of depth and of its errors, for reports and TensorBoard."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from depthlab_core.labels import LabelSet
from depthlab_core.overlay import draw_prediction
from depthlab_core.prediction import Prediction
from training.datasets.sample import Sample

Picture = npt.NDArray[np.uint8]

_NEAR, _FAR = 3.0, 60.0
"""Metres at which the scale of depth ends, as in the annotated image."""
_LARGEST_ERROR = 0.5
_UNKNOWN = (70, 70, 70)
_DENSE = 0.2
"""Truth on a smaller share of the pixels is drawn as dots, or nobody would see it."""


def draw_panels(sample: Sample, prediction: Prediction, labels: LabelSet) -> dict[str, Picture]:
    """Draw a frame and what a model sees in it.

    Returns:
        ``input``, ``panoptic``, ``depth`` and, where the sample has depth, ``error``; RGB, uint8,
        of the sample's size.
    """
    panels = {
        "input": sample.image,
        "panoptic": draw_prediction(sample.image, prediction, labels),
        "depth": draw_depth(prediction.depth),
    }
    if sample.depth is not None:
        panels["error"] = draw_error(prediction.depth, sample.depth)
    return panels


def draw_depth(depth: npt.NDArray[np.floating]) -> Picture:
    """Colour depth by its logarithm: red at 3 m, blue at 60 m and beyond.

    Args:
        depth: Metres ``(H, W)``, NaN or 0 = unknown, which is drawn grey.
    """
    known = np.isfinite(depth) & (depth > 0)
    share = np.log(np.where(known, depth, _FAR) / _NEAR) / np.log(_FAR / _NEAR)
    # Turbo's two ends are nearly black.
    return _colored(0.9 - 0.8 * np.clip(share, 0, 1), known, cv2.COLORMAP_TURBO)


def draw_error(depth: npt.NDArray[np.floating], truth: npt.NDArray[np.floating]) -> Picture:
    """Colour the relative error of depth: black at 0, bright at one half and beyond.

    Args:
        depth: Predicted metres ``(H, W)``, NaN = unknown, which counts as a large error.
        truth: Metres ``(H, W)``, 0 = unknown, which is drawn grey.
    """
    known = truth > 0
    predicted = np.where(np.isfinite(depth), depth, np.inf)
    error = np.abs(predicted - truth) / np.where(known, truth, 1)
    picture = _colored(error / _LARGEST_ERROR, known, cv2.COLORMAP_INFERNO)
    if 0 < known.mean() < _DENSE:
        radius = max(1, truth.shape[1] // 400)
        dots = cv2.dilate(
            np.where(known[..., None], np.maximum(picture, 1), 0).astype(np.uint8),
            np.ones((2 * radius + 1,) * 2, np.uint8),
        )
        picture = np.where(dots.max(axis=-1, keepdims=True) > 0, dots, picture).astype(np.uint8)
    return picture


def _colored(
    share: npt.NDArray[np.floating], known: npt.NDArray[np.bool_], colormap: int
) -> Picture:
    scaled = np.round(np.clip(np.where(known, share, 0), 0, 1) * 255).astype(np.uint8)
    picture = cv2.cvtColor(cv2.applyColorMap(scaled, colormap), cv2.COLOR_BGR2RGB)
    picture[~known] = _UNKNOWN
    return np.asarray(picture, dtype=np.uint8)
