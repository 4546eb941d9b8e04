# SPDX-License-Identifier: Apache-2.0
"""How alike things of two frames are, by mask, box, depth and class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depthlab_core.segments import Segment

FloatArray = npt.NDArray[np.float64]

# A rider's bicycle lies in the rider's box: only overlapping masks may change their class.
_OVERLAP_TO_CHANGE_CLASS = 0.4
# How much wider to look for what was hidden, on each side, by its size.
_MARGIN = 0.25
# Metres by which median depth changes with the part of a thing that is to be seen.
_LENGTH = 2.0
_MASK, _BOX, _NEARNESS = 0.4, 0.4, 0.2


@dataclass(frozen=True)
class Appearance:
    """What a thing looks like, or is expected to.

    Attributes:
        box: Left, top, right and bottom in pixels.
        depth: Metres; NaN = unknown.
        category_id: Class.
        is_hidden: Whether the frame before did not show it, so that it may come back in part.
    """

    box: tuple[float, float, float, float]
    depth: float
    category_id: int
    is_hidden: bool = False

    @classmethod
    def of(cls, segment: Segment) -> Appearance:
        """Return a segment's; its depth is unknown where it is not positive."""
        x, y, width, height = segment.bbox
        depth = segment.depth_median if segment.depth_median > 0 else math.nan
        return cls((x, y, x + width, y + height), depth, segment.category_id)


def mask_overlap(
    before: npt.NDArray[np.uint16],
    after: npt.NDArray[np.uint16],
    count: int,
    ids: Sequence[int],
) -> FloatArray:
    """Return the intersection over union of masks of two frames.

    Args:
        before: uint16 ``(H, W)``, values 1 to ``count``; 0 is none. Of another size: no overlap.
        after: uint16 ``(H, W)``.
        count: How many rows to return.
        ids: Values of ``after`` to compare with.

    Returns:
        float ``(count, len(ids))``.
    """
    if before.shape != after.shape or not count or not ids:
        return np.zeros((count, len(ids)))
    column_of = np.zeros(max(int(after.max(initial=0)), *ids) + 1, np.int64)
    column_of[list(ids)] = np.arange(1, len(ids) + 1)
    columns = len(ids) + 1
    pairs = np.bincount(
        (before.astype(np.int64) * columns + column_of[after]).ravel(),
        minlength=(count + 1) * columns,
    ).reshape(count + 1, columns)
    union = pairs.sum(1)[1:, None] + pairs.sum(0)[None, 1:] - pairs[1:, 1:]
    return np.asarray(pairs[1:, 1:] / np.maximum(union, 1), np.float64)


def affinity(
    expected: Sequence[Appearance],
    seen: Sequence[Appearance],
    overlap: FloatArray,
    *,
    depth_gate: float,
) -> FloatArray:
    """Return how alike expected and seen things are.

    Args:
        expected: N things.
        seen: M things.
        overlap: ``(N, M)``, intersection over union of the masks.
        depth_gate: Factor between two depths from which on they are not the same thing's.

    Returns:
        float ``(N, M)``, 0 (not the same) to 1.
    """
    if not expected or not seen:
        return np.zeros((len(expected), len(seen)))
    a = np.array([thing.box for thing in expected])[:, None]
    b = np.array([thing.box for thing in seen])[None]
    size_a, size_b = np.maximum(a[..., 2:] - a[..., :2], 0), b[..., 2:] - b[..., :2]
    area_a, area_b = size_a.prod(-1), size_b.prod(-1)
    hidden = np.array([thing.is_hidden for thing in expected])[:, None]
    margin = _MARGIN * size_a * hidden[..., None]
    shared = np.minimum(a[..., 2:] + margin, b[..., 2:])
    shared = shared - np.maximum(a[..., :2] - margin, b[..., :2])
    intersection = np.maximum(shared, 0).prod(-1)
    whole = np.where(hidden, area_b, area_a + area_b - intersection)
    box_overlap = intersection / np.maximum(whole, 1)

    # Small things that move fast overlap with nothing, but they are near and keep their size.
    apart = np.linalg.norm((a[..., 2:] + a[..., :2] - b[..., 2:] - b[..., :2]) / 2, axis=-1)
    reach = (np.linalg.norm(size_a, axis=-1) + np.linalg.norm(size_b, axis=-1)) / 2
    same_size = np.minimum(area_a, area_b) / np.maximum(np.maximum(area_a, area_b), 1)
    nearness = np.maximum(1 - apart / np.maximum(reach, 1), 0) * same_size
    likeness = _MASK * overlap + _BOX * box_overlap + _NEARNESS * nearness

    depth_a = np.array([thing.depth for thing in expected])[:, None]
    depth_b = np.array([thing.depth for thing in seen])[None]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = (np.maximum(depth_a, 0) + _LENGTH) / (depth_b + _LENGTH)
        apart = np.abs(np.log(ratio)) / np.log(depth_gate)
    # Unknown depth speaks neither for nor against.
    likeness *= np.where(np.isnan(apart), 1.0, np.where(apart < 1, 1 - 0.5 * apart, 0.0))

    other_class = (
        np.array([thing.category_id for thing in expected])[:, None]
        != np.array([thing.category_id for thing in seen])[None]
    )
    likeness[other_class] *= 0.5
    likeness[other_class & (overlap < _OVERLAP_TO_CHANGE_CLASS)] = 0.0
    return np.asarray(likeness)
