# SPDX-License-Identifier: Apache-2.0
"""Training targets of Panoptic-DeepLab out of a panoptic label map.

The numbers equal those of detectron2's target generator; here every step handles all segments at
once, so that the cost does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depthlab_core.labels import LabelSet

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TargetSegment:
    """One labelled segment.

    Attributes:
        id: Its value in the panoptic map.
        category_id: Class of the segment.
        is_crowd: True where a region holds several instances that nobody told apart.
    """

    id: int
    category_id: int
    is_crowd: bool = False


@dataclass(frozen=True)
class Targets:
    """What the network should say about one image, and how much each pixel counts.

    Attributes:
        semantic: Category ids, uint8 ``(H, W)``; the ignore label where nothing is labelled.
        semantic_weight: float32 ``(H, W)``.
        center_heatmap: Gaussians at the centres of mass, 0 to 1, float32 ``(1, H, W)``.
        center_weight: float32 ``(1, H, W)``; 0 on crowds and unlabelled pixels.
        offset: (dy, dx) from pixel to centre of mass in pixels, float32 ``(2, H, W)``.
        offset_weight: float32 ``(1, H, W)``; 0 also on stuff, by default; of every segment alike,
            or lower on larger ones.
        depth_weight: float32 ``(H, W)``; of every segment alike, or lower on larger ones; 1 on
            average over the labelled pixels, and on each of the others.
        center_points: (y, x) of every Gaussian, float64 ``(N, 2)``.
    """

    semantic: npt.NDArray[np.uint8]
    semantic_weight: FloatArray
    center_heatmap: FloatArray
    center_weight: FloatArray
    offset: FloatArray
    offset_weight: FloatArray
    depth_weight: FloatArray
    center_points: npt.NDArray[np.float64]


class TargetGenerator:
    """Makes ``Targets`` out of panoptic label maps.

    Args:
        labels: Which classes are things, and the ignore label.
        sigma: Standard deviation of the Gaussian at a centre, pixels.
        ignore_stuff_in_offset: Whether stuff has offset weight 0.
        small_instance_area: Things with fewer pixels count as small.
        small_instance_weight: Semantic weight of the pixels of small things.
        offset_balance: Offset weights are divided by the segment's area to this power.
        depth_balance: Likewise depth weights, of things and stuff.
        ignore_crowd_in_semantic: Whether crowds are unlabelled in the semantic target too.
        ignore_crowd_in_center: Whether crowds have no Gaussian. Theirs, which the reference draws,
            stands where their parts are on average: often on none of them.
    """

    def __init__(
        self,
        labels: LabelSet,
        *,
        sigma: float = 10.0,
        ignore_stuff_in_offset: bool = True,
        small_instance_area: int = 4096,
        small_instance_weight: float = 3.0,
        offset_balance: float = 0.0,
        depth_balance: float = 0.0,
        ignore_crowd_in_semantic: bool = False,
        ignore_crowd_in_center: bool = True,
    ) -> None:
        if sigma <= 0:
            raise ValueError(f"sigma: got {sigma}, expected a positive number of pixels")
        self._labels = labels
        self._ignore_stuff_in_offset = ignore_stuff_in_offset
        self._small_instance_area = small_instance_area
        self._small_instance_weight = small_instance_weight
        self._offset_balance = offset_balance
        self._depth_balance = depth_balance
        self._ignore_crowd_in_semantic = ignore_crowd_in_semantic
        self._ignore_crowd_in_center = ignore_crowd_in_center
        self._radius = int(3 * sigma + 1)
        distance = np.arange(-self._radius, self._radius + 1, dtype=np.float64)
        square = distance[:, None] ** 2 + distance[None, :] ** 2
        self._gaussian = np.exp(-square / (2 * sigma**2)).astype(np.float32)

    def __call__(
        self, panoptic: npt.NDArray[np.integer], segments: Sequence[TargetSegment]
    ) -> Targets:
        """Make the targets of one image.

        Args:
            panoptic: Segment ids, ``(H, W)``; ids that are not in ``segments`` are unlabelled.
            segments: The labelled segments. Those without a pixel have no effect.

        Returns:
            The targets, at the resolution of ``panoptic``.
        """
        height, width = panoptic.shape
        index = _segment_index(panoptic, [segment.id for segment in segments])
        # One row more than segments: the last stands for unlabelled pixels.
        count = len(segments)
        category = np.array([s.category_id for s in segments] + [-1], dtype=np.int64)
        is_crowd = np.array([s.is_crowd for s in segments] + [True], dtype=bool)
        is_labelled = np.arange(count + 1) < count
        is_thing = np.isin(category, self._labels.thing_ids)

        flat = index.ravel()
        area = np.bincount(flat, minlength=count + 1)
        rows = np.repeat(np.arange(height, dtype=np.float64), width)
        columns = np.tile(np.arange(width, dtype=np.float64), height)
        divisor = np.maximum(area, 1)
        center = np.stack(
            [
                np.bincount(flat, weights=rows, minlength=count + 1) / divisor,
                np.bincount(flat, weights=columns, minlength=count + 1) / divisor,
            ],
            axis=1,
        )

        semantic_value = np.where(is_labelled, category, self._labels.ignore_label)
        if self._ignore_crowd_in_semantic:
            semantic_value[is_crowd] = self._labels.ignore_label
        is_small = is_thing & (area < self._small_instance_area)
        semantic_weight = np.where(is_small, self._small_instance_weight, 1.0)
        center_weight = ~is_crowd
        has_offset = center_weight & (is_thing | (not self._ignore_stuff_in_offset))
        offset_weight = has_offset * divisor.astype(np.float64) ** -self._offset_balance
        depth_weight = _mean_one(divisor.astype(np.float64) ** -self._depth_balance, area)

        offset = np.zeros((2, height, width), dtype=np.float32)
        thing_pixels = is_thing[index]
        offset[0] = np.where(thing_pixels, center[:, 0][index] - np.arange(height)[:, None], 0)
        offset[1] = np.where(thing_pixels, center[:, 1][index] - np.arange(width)[None, :], 0)

        has_center = is_thing & (area > 0)
        if self._ignore_crowd_in_center:
            has_center &= ~is_crowd
        points = center[has_center]
        return Targets(
            semantic=semantic_value.astype(np.uint8)[index],
            semantic_weight=semantic_weight.astype(np.float32)[index],
            center_heatmap=self._draw_centers(points, height, width)[None],
            center_weight=center_weight.astype(np.float32)[index][None],
            offset=offset,
            offset_weight=offset_weight.astype(np.float32)[index][None],
            depth_weight=depth_weight.astype(np.float32)[index],
            center_points=points,
        )

    def _draw_centers(
        self, points: npt.NDArray[np.float64], height: int, width: int
    ) -> FloatArray:
        """Draw a Gaussian at every (y, x) of ``points``, the maximum where they overlap."""
        heatmap = np.zeros((height, width), dtype=np.float32)
        radius = self._radius
        for center_y, center_x in points:
            y, x = round(float(center_y)), round(float(center_x))
            top, bottom = max(0, y - radius), min(height, y + radius + 1)
            left, right = max(0, x - radius), min(width, x + radius + 1)
            patch = self._gaussian[
                top - y + radius : bottom - y + radius, left - x + radius : right - x + radius
            ]
            region = heatmap[top:bottom, left:right]
            np.maximum(region, patch, out=region)
        return heatmap


def segments_of(panoptic: npt.NDArray[np.integer], labels: LabelSet) -> list[TargetSegment]:
    """List the segments of an encoded panoptic map.

    Args:
        panoptic: ``category_id * label_divisor + instance_id``, ``(H, W)``; negative = unlabelled.
            A thing with instance id 0 is a crowd.
        labels: Divisor and things.

    Returns:
        One entry per id, ascending.
    """
    ids: Iterable[int] = map(int, np.unique(panoptic))
    segments = []
    for segment_id in ids:
        if segment_id < 0:
            continue
        category_id, instance_id = divmod(segment_id, labels.label_divisor)
        is_crowd = instance_id == 0 and category_id in labels.thing_ids
        segments.append(TargetSegment(segment_id, category_id, is_crowd))
    return segments


def _mean_one(
    weight: npt.NDArray[np.float64], area: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """Scale segments' weights to 1 on average over their pixels; unlabelled ones, last, get 1."""
    labelled = area[:-1].sum()
    total = (weight[:-1] * area[:-1]).sum()
    return np.append(weight[:-1] * (labelled / total if labelled else 1.0), 1.0)


def _segment_index(panoptic: npt.NDArray[np.integer], ids: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return per pixel the position of its id in ``ids``, or ``len(ids)`` where it is absent."""
    if not ids:
        return np.zeros(panoptic.shape, dtype=np.int64)
    order = np.argsort(np.asarray(ids), kind="stable")
    ordered = np.asarray(ids)[order]
    position = np.minimum(np.searchsorted(ordered, panoptic), len(ids) - 1)
    return np.where(ordered[position] == panoptic, order[position], len(ids))
