# SPDX-License-Identifier: Apache-2.0
"""Segments of a panoptic map: class, place and depth of each."""

from __future__ import annotations

import math
import typing
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from depthlab_core.labels import VOID, LabelSet
from depthlab_core.strict_load import require

DepthStatistic = Literal["mean", "median", "p05", "p95"]


@dataclass(frozen=True)
class Segment:
    """One thing, or all of one stuff class, in an image.

    Depth is along the camera's Z axis in metres; NaN where none of the segment's pixels has one.

    Attributes:
        id: 1, 2, ...; the segment's value in the id map, whose 0 is void.
        panoptic_id: ``category_id * label_divisor + instance_id``, its value in the panoptic map.
        category_id: Index into the label set.
        category_name: Name there.
        is_thing: Thing or stuff.
        score: Mean class probability over its pixels, for things times the centre's heatmap value;
            0 to 1.
        area: In pixels.
        bbox: x, y, width, height of the smallest box around its pixels.
        centroid: (u, v), mean column and row of its pixels.
        depth_mean: The original's value.
        depth_median: 0.5 quantile.
        depth_std: Standard deviation.
        depth_p05: 0.05 quantile.
        depth_p95: 0.95 quantile.
        depth_valid_ratio: Share of its pixels that have a depth, 0 to 1.
    """

    id: int
    panoptic_id: int
    category_id: int
    category_name: str
    is_thing: bool
    score: float
    area: int
    bbox: tuple[int, int, int, int]
    centroid: tuple[float, float]
    depth_mean: float
    depth_median: float
    depth_std: float
    depth_p05: float
    depth_p95: float
    depth_valid_ratio: float

    def depth(self, statistic: DepthStatistic) -> float:
        """Return one of the depth statistics by name, metres.

        Raises:
            ValueError: If there is none of that name.
        """
        names = typing.get_args(DepthStatistic)
        require(statistic in names, "statistic", statistic, "one of " + ", ".join(names))
        value: float = getattr(self, f"depth_{statistic}")
        return value

    def scaled(self, factor: float) -> Segment:
        """Return this with all depth multiplied by ``factor``."""
        return replace(
            self,
            depth_mean=self.depth_mean * factor,
            depth_median=self.depth_median * factor,
            depth_std=self.depth_std * factor,
            depth_p05=self.depth_p05 * factor,
            depth_p95=self.depth_p95 * factor,
        )


class SegmentTable(NamedTuple):
    """What was measured of ``N`` segments: row ``i`` is that of the segment with id ``i + 1``.

    Attributes:
        panoptic_id: integer ``(N,)``, ascending.
        area: integer ``(N,)``, pixels.
        box: integer ``(N, 4)``: first column and row, last column and row.
        centroid: float ``(N, 2)``, (u, v).
        probability: float ``(N,)``, mean class probability.
        peak: float ``(N,)``, value of the centre heatmap at the centroid.
        depth: float ``(N, 5)``: mean, standard deviation, 0.05, 0.5 and 0.95 quantile, metres; NaN
            where no pixel has a depth.
        valid: integer ``(N,)``, pixels that have a depth.
    """

    panoptic_id: npt.NDArray[np.integer]
    area: npt.NDArray[np.integer]
    box: npt.NDArray[np.integer]
    centroid: npt.NDArray[np.floating]
    probability: npt.NDArray[np.floating]
    peak: npt.NDArray[np.floating]
    depth: npt.NDArray[np.floating]
    valid: npt.NDArray[np.integer]


def segments_of_table(table: SegmentTable, labels: LabelSet) -> list[Segment]:
    """Return the segments that a table describes, in the order of its rows."""
    segments = []
    for index, panoptic_id in enumerate(table.panoptic_id.tolist()):
        category = labels.categories[panoptic_id // labels.label_divisor]
        left, top, right, bottom = table.box[index].tolist()
        u, v = table.centroid[index].tolist()
        mean, std, p05, median, p95 = table.depth[index].tolist()
        score = float(table.probability[index])
        if category.is_thing:
            # Heatmaps are regressed and overshoot 1 a little.
            score *= float(table.peak[index].clip(0, 1))
        segments.append(
            Segment(
                id=index + 1,
                panoptic_id=panoptic_id,
                category_id=category.id,
                category_name=category.name,
                is_thing=category.is_thing,
                score=score,
                area=int(table.area[index]),
                bbox=(left, top, right - left + 1, bottom - top + 1),
                centroid=(u, v),
                depth_mean=mean,
                depth_median=median,
                depth_std=std,
                depth_p05=p05,
                depth_p95=p95,
                depth_valid_ratio=float(table.valid[index] / table.area[index]),
            )
        )
    return segments


def compute_segments(
    panoptic_map: npt.NDArray[np.int32],
    depth: npt.NDArray[np.float32],
    class_probability: npt.NDArray[np.float32],
    center_heatmap: npt.NDArray[np.float32],
    labels: LabelSet,
) -> tuple[list[Segment], npt.NDArray[np.uint16]]:
    """Describe every segment of a panoptic map.

    Args:
        panoptic_map: int32 ``(H, W)``, ``VOID`` where nothing is.
        depth: float32 ``(H, W)`` in metres, NaN where unknown.
        class_probability: float32 ``(H, W)``, probability of the pixel's own panoptic category.
        center_heatmap: float32 ``(H, W)``.
        labels: What the category ids mean.

    Returns:
        The segments in ascending order of their panoptic id, and the id map, uint16 ``(H, W)``.
    """
    # Labels lie in a small range, so counting beats sorting two million pixels.
    shifted = panoptic_map - VOID
    areas = np.bincount(shifted.ravel())
    present = np.flatnonzero(areas)
    present = present[present > 0]
    to_id = np.zeros(max(len(areas), 1), np.uint16)
    to_id[present] = np.arange(1, len(present) + 1, dtype=np.uint16)
    id_map = to_id[shifted]

    segments = []
    boxes = _bounding_boxes(id_map, len(present))
    for index, shifted_id in enumerate(present.tolist()):
        panoptic_id = shifted_id + VOID
        category = labels.categories[panoptic_id // labels.label_divisor]
        x, y, width, height = boxes[index]
        window = np.s_[y : y + height, x : x + width]
        mask = id_map[window] == index + 1
        rows, columns = np.nonzero(mask)
        centroid = (float(columns.mean()) + x, float(rows.mean()) + y)
        score = float(class_probability[window][mask].mean(dtype=np.float64))
        if category.is_thing:
            # Heatmaps are regressed and overshoot 1 a little.
            score *= float(np.clip(center_heatmap[int(centroid[1]), int(centroid[0])], 0, 1))
        mean, median, std, p05, p95, valid_ratio = _depth_statistics(depth[window][mask])
        segments.append(
            Segment(
                id=index + 1,
                panoptic_id=panoptic_id,
                category_id=category.id,
                category_name=category.name,
                is_thing=category.is_thing,
                score=score,
                area=int(areas[shifted_id]),
                bbox=boxes[index],
                centroid=centroid,
                depth_mean=mean,
                depth_median=median,
                depth_std=std,
                depth_p05=p05,
                depth_p95=p95,
                depth_valid_ratio=valid_ratio,
            )
        )
    return segments, id_map


def _bounding_boxes(id_map: npt.NDArray[np.uint16], count: int) -> list[tuple[int, int, int, int]]:
    """Return x, y, width, height of the ids 1 to ``count``, all of which are present."""
    height, width = id_map.shape
    boxes = np.empty((count, 4), np.int64)
    for axis, length in ((1, height), (0, width)):
        # seen[line, id]: whether the id is in that row or column.
        seen = np.zeros((length, count + 1), bool)
        lines = np.arange(length)
        seen[lines[:, None] if axis == 1 else lines[None, :], id_map] = True
        first = seen[:, 1:].argmax(axis=0)
        last = length - 1 - seen[::-1, 1:].argmax(axis=0)
        boxes[:, 1 if axis == 1 else 0] = first
        boxes[:, 3 if axis == 1 else 2] = last - first + 1
    return [(int(x), int(y), int(w), int(h)) for x, y, w, h in boxes]


def _depth_statistics(
    depth: npt.NDArray[np.float32],
) -> tuple[float, float, float, float, float, float]:
    """Return mean, median, standard deviation, 5 % and 95 % quantile and valid ratio."""
    valid = depth[np.isfinite(depth)]
    if len(valid) == 0:
        return (math.nan,) * 5 + (0.0,)
    p05, median, p95 = np.quantile(valid, (0.05, 0.5, 0.95))
    return (
        float(valid.mean(dtype=np.float64)),
        float(median),
        float(valid.std(dtype=np.float64)),
        float(p05),
        float(p95),
        len(valid) / len(depth),
    )
