# SPDX-License-Identifier: Apache-2.0
"""Text tags on an image that do not cover each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

_FONT = cv2.FONT_HERSHEY_SIMPLEX


class Box(NamedTuple):
    """Pixels ``left <= u < right``, ``top <= v < bottom``."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class TagStyle:
    """Sizes in pixels that suit an image."""

    font_scale: float
    text_thickness: int
    padding: int
    thickness: int


def tag_style(height: int, width: int) -> TagStyle:
    """Choose sizes for an image of ``height`` by ``width`` that stay legible at full size."""
    length = math.sqrt(height * width)
    return TagStyle(
        font_scale=min(max(length / 1300, 0.36), 1.6),
        text_thickness=2 if length > 1000 else 1,
        padding=max(round(length / 300), 2),
        thickness=max(round(length / 700), 1),
    )


def place_tag(
    text: str,
    anchor: tuple[int, int],
    taken: Sequence[Box],
    style: TagStyle,
    size: tuple[int, int],
) -> Box | None:
    """Find room for a tag, over its anchor or as near to it as others leave.

    Args:
        text: What it will say.
        anchor: (u, v) that it belongs to.
        taken: Boxes to keep clear of.
        style: Sizes.
        size: Image height and width.

    Returns:
        The tag's box within the image, or None where there is no room near the anchor.
    """
    width, height = _extent(text, style)
    image_height, image_width = size
    if width > image_width or height > image_height:
        return None
    for ring in range(6):
        for dx, dy in _ring(ring):
            left = anchor[0] - width // 2 + round(dx * (width + style.padding) / 2)
            top = anchor[1] - height // 2 + round(dy * (height + style.padding))
            left = min(max(left, 0), image_width - width)
            top = min(max(top, 0), image_height - height)
            box = Box(left, top, left + width, top + height)
            if not any(_overlap(box, other) for other in taken):
                return box
    return None


def draw_tag(
    canvas: npt.NDArray[np.uint8],
    text: str,
    box: Box,
    anchor: tuple[int, int],
    color: tuple[int, int, int],
    style: TagStyle,
) -> None:
    """Draw a tag into ``canvas``, uint8 ``(H, W, 3)`` RGB, with a line to an anchor outside."""
    center = ((box.left + box.right) // 2, (box.top + box.bottom) // 2)
    is_inside = box.left <= anchor[0] < box.right and box.top <= anchor[1] < box.bottom
    if not is_inside:
        cv2.line(canvas, center, anchor, color, style.thickness, cv2.LINE_AA)
        cv2.circle(canvas, anchor, style.padding, color, -1, cv2.LINE_AA)
    corners = ((box.left, box.top), (box.right - 1, box.bottom - 1))
    cv2.rectangle(canvas, *corners, color, -1)
    # Perceived brightness (ITU-R BT.601) decides between black and white text.
    is_bright = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 140
    (_, text_height), _ = cv2.getTextSize(text, _FONT, style.font_scale, style.text_thickness)
    left, baseline = box.left + style.padding, box.top + style.padding + text_height
    text_color = (0, 0, 0) if is_bright else (255, 255, 255)
    # OpenCV draws smooth lines of two pixels nine times slower than those of one.
    for shift in range(style.text_thickness):
        place = (left + shift, baseline)
        cv2.putText(canvas, text, place, _FONT, style.font_scale, text_color, 1, cv2.LINE_AA)


def _extent(text: str, style: TagStyle) -> tuple[int, int]:
    (width, height), baseline = cv2.getTextSize(
        text, _FONT, style.font_scale, style.text_thickness
    )
    return width + 2 * style.padding, height + baseline // 2 + 2 * style.padding


def _ring(ring: int) -> list[tuple[int, int]]:
    """Return the steps at Chebyshev distance ``ring``, nearest first, above before below."""
    span = range(-ring, ring + 1)
    steps = [(dx, dy) for dx in span for dy in span if max(abs(dx), abs(dy)) == ring]
    return sorted(steps, key=lambda step: (step[0] ** 2 + step[1] ** 2, step[1]))


def _overlap(a: Box, b: Box) -> bool:
    return a.left < b.right and b.left < a.right and a.top < b.bottom and b.top < a.bottom
