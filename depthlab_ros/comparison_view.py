# SPDX-License-Identifier: Apache-2.0
"""The picture of the comparison: prediction and truth side by side, depth below."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from depthlab_core.labels import CITYSCAPES, VOID, LabelSet
from depthlab_core.overlay import distance_color, draw_prediction
from depthlab_core.prediction import Prediction
from depthlab_core.segments import compute_segments
from depthlab_ros.comparison import ComparedFrame

_NEAR, _FAR = 2.0, 100.0
_TEXT_HEIGHT = 22


def draw_comparison(frame: ComparedFrame, labels: LabelSet = CITYSCAPES) -> NDArray[np.uint8]:
    """Draw a frame four times.

    Returns:
        RGB, uint8 ``(2 H, 2 W, 3)``: what the node published and its depth on the left, the truth
        in the same colours on the right.
    """
    panels = (
        ("prediction", frame.annotated.copy()),
        ("truth", _draw_truth(frame, labels)),
        ("predicted depth", colored_depth(frame.depth)),
        ("true depth", colored_depth(frame.true_depth)),
    )
    for name, panel in panels:
        _caption(panel, name)
    first, second, third, fourth = (panel for _, panel in panels)
    return np.vstack([np.hstack([first, second]), np.hstack([third, fourth])])


def colored_depth(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return depth in the colours of ``distance_color``, black where unknown.

    Args:
        depth: Metres ``(H, W)``, NaN = unknown.

    Returns:
        RGB, uint8 ``(H, W, 3)``.
    """
    known = np.isfinite(depth)
    share = np.log(np.where(known, depth, _FAR) / _NEAR) / np.log(_FAR / _NEAR)
    steps = np.where(known, 1 + np.clip(share * 254, 0, 254), 0)
    return np.asarray(_palette()[steps.astype(np.uint8)])


def _draw_truth(frame: ComparedFrame, labels: LabelSet) -> NDArray[np.uint8]:
    crowds = [category_id * labels.label_divisor for category_id in labels.thing_ids]
    panoptic = np.where(np.isin(frame.true_panoptic, crowds), VOID, frame.true_panoptic)
    sure = np.ones(frame.true_depth.shape, np.float32)
    segments, id_map = compute_segments(panoptic, frame.true_depth, sure, sure, labels)
    truth = Prediction(
        panoptic_map=panoptic,
        semantic_map=(panoptic // labels.label_divisor).astype(np.uint8),
        id_map=id_map,
        depth=frame.true_depth,
        segments=segments,
        focal_length=float("nan"),
        focal_length_assumed=False,
        timings={},
    )
    return draw_prediction(frame.image, truth, labels)


@cache
def _palette() -> NDArray[np.uint8]:
    """Return the colours of ``colored_depth``, uint8 ``(256, 3)``; the first is unknown."""
    metres = _NEAR * (_FAR / _NEAR) ** (np.arange(255) / 254)
    return np.array([(0, 0, 0), *(distance_color(value) for value in metres)], np.uint8)


def _caption(panel: NDArray[np.uint8], text: str) -> None:
    """Write what a panel shows into its lower left corner, which is road or hood."""
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.5
    (width, _), _ = cv2.getTextSize(text, font, scale, 1)
    bottom = panel.shape[0]
    cv2.rectangle(panel, (0, bottom - _TEXT_HEIGHT), (width + 12, bottom), (0, 0, 0), -1)
    cv2.putText(panel, text, (6, bottom - 7), font, scale, (255, 255, 255), 1, cv2.LINE_AA)
