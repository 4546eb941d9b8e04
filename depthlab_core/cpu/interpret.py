# SPDX-License-Identifier: Apache-2.0
"""``depthlab_core.interpret`` for CPUs: the same answer from fewer passes over the image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from depthlab_core.config import PostprocessConfig
from depthlab_core.cpu.bilinear import Taps, resize_plane, taps
from depthlab_core.cpu.centers import find_instance_centers_on_cpu
from depthlab_core.cpu.compiled import row_bands
from depthlab_core.cpu.grouping import group_pixels_on_cpu
from depthlab_core.cpu.semantics import label_pixels, sum_probability
from depthlab_core.cpu.statistics import Lookup, describe_segments
from depthlab_core.interpret import Interpretation
from depthlab_core.labels import CITYSCAPES, VOID, LabelSet
from depthlab_core.network import ModelOutput
from depthlab_core.postprocess import panoptic_labels
from depthlab_core.segments import SegmentTable, segments_of_table


def interpret_on_cpu(
    output: ModelOutput,
    height: int,
    width: int,
    *,
    labels: LabelSet,
    postprocess: PostprocessConfig,
    depth_scale: float,
    mask_undefined: bool,
) -> Interpretation:
    """Restore one image's output to the image's grid, find the segments and describe them.

    Args:
        output: Of the network, a batch of one, on the CPU.
        height: Rows of the image.
        width: Columns of the image.
        labels: What the network predicts.
        postprocess: Thresholds.
        depth_scale: What the network's depth is multiplied by to become metres.
        mask_undefined: Give NaN where the category has no depth (sky).
    """
    logits, heatmap, offset, depth = (_to_numpy(part[0]) for part in output)
    rows, columns = taps(logits.shape[1], height), taps(logits.shape[2], width)

    semantic_map, probability = label_pixels(logits, rows, columns)
    center_heatmap = resize_plane(heatmap[0], rows, columns)
    centers = find_instance_centers_on_cpu(
        center_heatmap,
        threshold=postprocess.center_threshold,
        nms_kernel=postprocess.nms_kernel,
        top_k=postprocess.top_k,
    )
    metres = resize_plane(depth[0], rows, columns, factor=depth_scale)
    return find_segments(
        logits,
        offset,
        rows,
        columns,
        semantic_map,
        probability,
        center_heatmap,
        centers,
        metres,
        labels=labels,
        stuff_area=postprocess.stuff_area_at(height, width),
        mask_undefined=mask_undefined,
    )


def find_segments(
    logits: npt.NDArray[np.float32],
    offset: npt.NDArray[np.float32],
    rows: Taps,
    columns: Taps,
    semantic_map: npt.NDArray[np.uint8],
    probability: npt.NDArray[np.float32],
    center_heatmap: npt.NDArray[np.float32],
    centers: npt.NDArray[np.int64],
    depth: npt.NDArray[np.float32],
    *,
    labels: LabelSet,
    stuff_area: int,
    mask_undefined: bool,
) -> Interpretation:
    """Group pixels by centre, merge instances and labels, and measure every segment.

    Args:
        logits: float32 ``(C, h, w)``.
        offset: float32 ``(2, h, w)``, (dy, dx) in pixels of its own grid.
        rows: Taps of the rows, ``h`` to ``H``.
        columns: Taps of the columns, ``w`` to ``W``.
        semantic_map: uint8 ``(H, W)``, from ``label_pixels``.
        probability: float32 ``(H, W)``, likewise.
        center_heatmap: float32 ``(H, W)``.
        centers: int64 ``(K, 2)``, (y, x).
        depth: float32 ``(H, W)``, metres; becomes the result's.
        labels: What the categories mean.
        stuff_area: In pixels.
        mask_undefined: Give NaN where the category has no depth.
    """
    bands = row_bands(len(depth))
    is_thing = np.array([category.is_thing for category in labels.categories])
    runs, votes = group_pixels_on_cpu(
        centers, offset, rows, columns, semantic_map, is_thing, bands
    )
    table = _tabulate(votes.sum(axis=0), labels, is_thing, stuff_area, mask_undefined)
    count = len(table.panoptic_ids)
    areas = np.stack(
        [
            np.bincount(table.lookup.segment.ravel(), band.ravel(), count + 1)[1:].astype(np.int64)
            for band in votes
        ]
    )
    area = areas.sum(axis=0)
    sums = sum_probability(
        probability,
        logits,
        rows,
        columns,
        bands,
        runs,
        table.categories,
        table.lookup.segment,
        count,
    )
    panoptic_map = np.empty(depth.shape, np.int32)
    id_map = np.empty(depth.shape, np.uint16)
    found = describe_segments(bands, runs, depth, table.lookup, areas, panoptic_map, id_map)
    u, v = (found.sums / area[:, None]).T
    measured = SegmentTable(
        panoptic_id=table.panoptic_ids,
        area=area,
        box=found.box,
        centroid=np.stack([u, v], axis=1),
        probability=sums / area,
        peak=center_heatmap[v.astype(int), u.astype(int)],
        depth=found.depth,
        valid=found.valid,
    )
    segments = segments_of_table(measured, labels)
    return Interpretation(panoptic_map, semantic_map, id_map, depth, segments)


def compile_kernels() -> None:
    """Compile what ``interpret_on_cpu`` runs, or load it from numba's cache.

    Otherwise the first image would wait for it: a fraction of a second from the cache, 10 to 30
    seconds on the first use of this version.
    """
    height, width = 4, 8
    channels = (len(CITYSCAPES), 1, 2, 1)
    output = ModelOutput(*(torch.rand(1, count, height, width) for count in channels))
    interpret_on_cpu(
        output,
        2 * height,
        2 * width,
        labels=CITYSCAPES,
        postprocess=PostprocessConfig(stuff_area=0),
        depth_scale=1.0,
        mask_undefined=True,
    )


class _Table(NamedTuple):
    lookup: Lookup
    categories: npt.NDArray[np.uint8]
    panoptic_ids: npt.NDArray[np.int32]


def _tabulate(
    votes: npt.NDArray[np.int64],
    labels: LabelSet,
    is_thing: npt.NDArray[np.bool_],
    stuff_area: int,
    mask_undefined: bool,
) -> _Table:
    """Decide what pixels become, by instance and label, from how many there are of each."""
    panoptic = panoptic_labels(
        torch.from_numpy(votes),
        is_thing=torch.from_numpy(is_thing),
        label_divisor=labels.label_divisor,
        stuff_area=stuff_area,
    ).numpy()
    is_segment = (panoptic != VOID) & (votes > 0)
    panoptic_ids = np.unique(panoptic[is_segment])
    segment = np.where(is_segment, np.searchsorted(panoptic_ids, panoptic) + 1, 0)
    own = np.arange(votes.shape[1])
    categories = np.where(panoptic == VOID, own, panoptic // labels.label_divisor)
    has_depth = ~(mask_undefined & np.isin(categories, labels.no_depth_ids))
    lookup = Lookup(panoptic, segment.astype(np.uint16), has_depth)
    return _Table(lookup, categories.astype(np.uint8), panoptic_ids)


def _to_numpy(x: Tensor) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = x.to(torch.float32).contiguous().numpy()
    return array
