# SPDX-License-Identifier: Apache-2.0
"""Pictures of depth and of its errors, for reports and TensorBoard."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from depthlab_core.labels import VOID, LabelSet
from depthlab_core.overlay import draw_prediction
from depthlab_core.prediction import Prediction
from depthlab_core.segments import compute_segments
from training.datasets.sample import Sample
from training.label_groups import STREET_GROUPS

Picture = npt.NDArray[np.uint8]

_NEAR, _FAR = 3.0, 60.0
"""Metres at which the scale of depth ends, as in the annotated image."""
_LARGEST_ERROR = 0.5
_UNKNOWN = (70, 70, 70)
_LEGIBLE_WIDTH = 512
"""Narrower pictures are enlarged, for the tags of segments not to hide them."""
_DENSE = 0.2
"""Depth on a smaller share of the pixels is drawn as dots, or nobody would see it."""


def draw_panels(sample: Sample, prediction: Prediction, labels: LabelSet) -> dict[str, Picture]:
    """Draw a frame, what a model sees in it, and the truth where the sample has it.

    Returns:
        ``input``, ``panoptic``, ``panoptic_true``, ``depth``, ``depth_true`` and ``depth_error``;
        RGB, uint8, of the sample's size or, where that is too small for text, a multiple of it.
    """
    panels = {
        "input": sample.image,
        "depth": draw_depth(prediction.depth),
    }
    if sample.depth is not None:
        panels["depth_true"] = draw_depth(sample.depth)
        panels["depth_error"] = draw_error(prediction.depth, sample.depth)
    scale = -(-_LEGIBLE_WIDTH // sample.image.shape[1])
    panels = {name: _enlarged(picture, scale) for name, picture in panels.items()}
    maps = {"panoptic": (prediction.panoptic_map, prediction.depth)}
    truth = _true_panoptic(sample, labels)
    if truth is not None:
        unknown = np.full(truth.shape, np.nan, np.float32)
        depth = (
            unknown if sample.depth is None else np.where(sample.depth > 0, sample.depth, unknown)
        )
        maps["panoptic_true"] = (truth, depth)
    for name, (panoptic, depth) in maps.items():
        panels[name] = _draw_segments(
            panels["input"], _enlarged(panoptic, scale), _enlarged(depth, scale), labels
        )
    return panels


def _enlarged(values: npt.NDArray[Any], scale: int) -> npt.NDArray[Any]:
    return values.repeat(scale, axis=0).repeat(scale, axis=1)


def _draw_segments(
    image: Picture,
    panoptic: npt.NDArray[np.int32],
    depth: npt.NDArray[np.float32],
    labels: LabelSet,
) -> Picture:
    ones = np.ones_like(depth)
    segments, id_map = compute_segments(panoptic, depth, ones, ones, labels)
    prediction = Prediction(
        panoptic_map=panoptic,
        semantic_map=(panoptic // labels.label_divisor).astype(np.uint8),
        id_map=id_map,
        depth=depth,
        segments=segments,
        focal_length=math.nan,
        focal_length_assumed=True,
        timings={},
    )
    return draw_prediction(image, prediction, labels)


def _true_panoptic(sample: Sample, labels: LabelSet) -> npt.NDArray[np.int32] | None:
    """Return the sample's panoptic map, or one segment for each of its coarse classes."""
    if sample.panoptic is not None or sample.semantic is None:
        return sample.panoptic
    semantic = sample.semantic.astype(np.int32)
    for group in STREET_GROUPS:
        semantic[semantic == group.id] = group.members[0][0]
    known = semantic < len(labels.categories)
    return np.where(known, semantic * labels.label_divisor, VOID)


def draw_depth(depth: npt.NDArray[np.floating]) -> Picture:
    """Colour depth by its logarithm: red at 3 m, blue at 60 m and beyond.

    Args:
        depth: Metres ``(H, W)``, NaN or 0 = unknown, which is drawn grey.
    """
    known = np.isfinite(depth) & (depth > 0)
    share = np.log(np.where(known, depth, _FAR) / _NEAR) / np.log(_FAR / _NEAR)
    # Turbo's two ends are nearly black.
    return _dotted(_colored(0.9 - 0.8 * np.clip(share, 0, 1), known, cv2.COLORMAP_TURBO), known)


def draw_error(depth: npt.NDArray[np.floating], truth: npt.NDArray[np.floating]) -> Picture:
    """Colour the relative error of depth: black at 0, bright at one half and beyond.

    Args:
        depth: Predicted metres ``(H, W)``, NaN = unknown, which counts as a large error.
        truth: Metres ``(H, W)``, 0 = unknown, which is drawn grey.
    """
    known = truth > 0
    predicted = np.where(np.isfinite(depth), depth, np.inf)
    error = np.abs(predicted - truth) / np.where(known, truth, 1)
    return _dotted(_colored(error / _LARGEST_ERROR, known, cv2.COLORMAP_INFERNO), known)


def _dotted(picture: Picture, known: npt.NDArray[np.bool_]) -> Picture:
    """Enlarge single known pixels to dots where they are few."""
    if not 0 < known.mean() < _DENSE:
        return picture
    radius = max(1, known.shape[1] // 400)
    dots = cv2.dilate(
        np.where(known[..., None], np.maximum(picture, 1), 0).astype(np.uint8),
        np.ones((2 * radius + 1,) * 2, np.uint8),
    )
    return np.where(dots.max(axis=-1, keepdims=True) > 0, dots, picture).astype(np.uint8)


def _colored(
    share: npt.NDArray[np.floating], known: npt.NDArray[np.bool_], colormap: int
) -> Picture:
    scaled = np.round(np.clip(np.where(known, share, 0), 0, 1) * 255).astype(np.uint8)
    picture = cv2.cvtColor(cv2.applyColorMap(scaled, colormap), cv2.COLOR_BGR2RGB)
    picture[~known] = _UNKNOWN
    return np.asarray(picture, dtype=np.uint8)
