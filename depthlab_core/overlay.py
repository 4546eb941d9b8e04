# SPDX-License-Identifier: Apache-2.0
"""The annotated image: every segment tinted, outlined and tagged with its class and depth."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from depthlab_core.labels import LabelSet
from depthlab_core.prediction import Prediction
from depthlab_core.segments import DepthStatistic, Segment
from depthlab_core.tags import Box, TagStyle, draw_tag, place_tag, tag_style

_NEAR, _FAR = 3.0, 60.0
"""Metres at which the colour scale ends; people and cars matter most in between."""
_STUFF_OPACITY, _THING_OPACITY = 0.35, 0.5
_UNKNOWN = (160, 160, 160)


def distance_color(depth: float) -> tuple[int, int, int]:
    """Return the RGB colour of a distance: red near, green in the middle, blue far.

    Args:
        depth: Metres; NaN gives grey.
    """
    if not math.isfinite(depth):
        return _UNKNOWN
    # By ratio, not by metre: 5 m and 10 m differ as much to a driver as 20 m and 40 m.
    share = math.log(max(depth, _NEAR) / _NEAR) / math.log(_FAR / _NEAR)
    red, green, blue = colorsys.hsv_to_rgb(min(share, 1.0) * 240 / 360, 0.95, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_prediction(
    image: npt.NDArray[np.uint8],
    prediction: Prediction,
    labels: LabelSet,
    *,
    statistic: DepthStatistic = "median",
) -> npt.NDArray[np.uint8]:
    """Draw a prediction over its image.

    Things take the colour of their distance, stuff the colour of its class. Each segment is
    outlined and tagged with its class and depth; a tag that finds no free place beside its
    segment stands away from it with a line to it.

    Args:
        image: uint8 ``(H, W, 3)``, RGB.
        prediction: Of this image. Where ``segments`` lacks an id of ``id_map``, the image stays.
        labels: The model's label set.
        statistic: Which depth of a segment is told.

    Returns:
        uint8 ``(H, W, 3)``, RGB; ``image`` is not changed.

    Raises:
        ValueError: If the image has another type, or another size than the prediction, or if there
            is no such statistic.
    """
    # The kernel that tints it checks no bounds.
    expected = f"uint8 {(*prediction.id_map.shape, 3)}"
    is_array = isinstance(image, np.ndarray)
    got = f"{image.dtype} {image.shape}" if is_array else type(image).__name__
    if got != expected:
        raise ValueError(f"image: got {got}, expected {expected}, the prediction's")
    colors = {
        segment.id: distance_color(segment.depth(statistic))
        if segment.is_thing
        else labels.categories[segment.category_id].color
        for segment in prediction.segments
    }
    style = tag_style(*image.shape[:2])
    canvas = _tint(image, prediction, colors, style.thickness)
    _write_tags(canvas, prediction, colors, style, statistic)
    return canvas


def _tint(
    image: npt.NDArray[np.uint8],
    prediction: Prediction,
    colors: dict[int, tuple[int, int, int]],
    thickness: int,
) -> npt.NDArray[np.uint8]:
    # Here, because numba takes a second to import and training needs none of it.
    from depthlab_core.cpu.tint import tint_pixels

    drawn = max((segment.id for segment in prediction.segments), default=0)
    count = max(drawn, int(prediction.id_map.max(initial=0))) + 1
    # One table of colour and one of opacity, scaled to 256, look every pixel up in a single pass.
    tint = np.zeros((count, 3), np.uint16)
    keep = np.full(count, 256, np.uint16)
    for segment in prediction.segments:
        opacity = round(256 * (_THING_OPACITY if segment.is_thing else _STUFF_OPACITY))
        tint[segment.id] = np.array(colors[segment.id], np.uint16) * np.uint16(opacity)
        keep[segment.id] = 256 - opacity
    # The kernel is compiled for memory that may be written to; a message's may not.
    image = np.require(image, requirements=["C", "W"])
    id_map = np.require(prediction.id_map, requirements=["C", "W"])
    return tint_pixels(image, id_map, tint, keep, thickness)


@dataclass(frozen=True)
class _Tag:
    segment: Segment
    text: str
    anchor: tuple[int, int]


def _write_tags(
    canvas: npt.NDArray[np.uint8],
    prediction: Prediction,
    colors: dict[int, tuple[int, int, int]],
    style: TagStyle,
    statistic: DepthStatistic,
) -> None:
    taken: list[Box] = []
    for tag in _by_importance(prediction, statistic):
        box = place_tag(tag.text, tag.anchor, taken, style, canvas.shape[:2])
        if box is not None:
            draw_tag(canvas, tag.text, box, tag.anchor, colors[tag.segment.id], style)
            taken.append(box)


def _by_importance(prediction: Prediction, statistic: DepthStatistic) -> Iterable[_Tag]:
    """Yield near things first, then stuff by area: where room is short, the rest goes without."""

    def key(segment: Segment) -> tuple[bool, float]:
        if segment.is_thing:
            depth = segment.depth(statistic)
            return (False, depth if math.isfinite(depth) else math.inf)
        return (True, -segment.area)

    for segment in sorted(prediction.segments, key=key):
        text = segment.category_name
        depth = segment.depth(statistic)
        if math.isfinite(depth):
            text += f" {depth:.1f} m"
        yield _Tag(segment, text, _inner_point(prediction.id_map, segment))


def _inner_point(id_map: npt.NDArray[np.uint16], segment: Segment) -> tuple[int, int]:
    """Return (u, v) of a pixel well inside the segment; its centroid may lie outside of it."""
    x, y, width, height = segment.bbox
    step = max(max(width, height) // 64, 1)
    mask = id_map[y : y + height : step, x : x + width : step] == segment.id
    if not mask.any():
        return round(segment.centroid[0]), round(segment.centroid[1])
    padded = np.pad(mask.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L1, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(distance.argmax()), distance.shape)
    return x + int(column) * step, y + int(row) * step
