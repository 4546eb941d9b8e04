# SPDX-License-Identifier: Apache-2.0
"""``depthlab_core.interpret`` for GPUs: the same answer, one CUDA graph, fetched in one copy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from depthlab_core.config import PostprocessConfig
from depthlab_core.gpu.centers import find_instance_centers
from depthlab_core.gpu.download import Download
from depthlab_core.gpu.graph import Graphs
from depthlab_core.gpu.grouping import count_votes, group_pixels
from depthlab_core.gpu.slots import fill_slots, slot_of_pixels
from depthlab_core.gpu.statistics import measure_segments
from depthlab_core.interpret import Interpretation
from depthlab_core.labels import VOID, LabelSet
from depthlab_core.network import ModelOutput
from depthlab_core.restore import restore
from depthlab_core.segments import SegmentTable, segments_of_table

_ROOM = 64
"""Centres that there is room for at first."""


class Tables(NamedTuple):
    """What a label set says of its ``C`` categories; both bool ``(C,)``."""

    is_thing: Tensor
    has_depth: Tensor


@cache
def tables_of(labels: LabelSet, device: torch.device) -> Tables:
    """Return the tables of a label set; they are kept for good, because graphs read them."""
    is_thing = [category.is_thing for category in labels.categories]
    has_depth = [category.has_depth for category in labels.categories]
    return Tables(torch.tensor(is_thing, device=device), torch.tensor(has_depth, device=device))


class DeviceAnswer(NamedTuple):
    """An ``Interpretation`` on the device, and what its segments are made of.

    Attributes:
        table: float64 ``(N, COLUMNS)``, from ``measure_segments``.
        counts: int64 ``(2,)``: centres, segments.
        panoptic_map: int32 ``(H, W)``.
        depth: float32 ``(H, W)``.
        panoptic_ids: int32 ``(N,)``.
        id_map: int16 ``(H, W)``, the bits of uint16.
        semantic_map: uint8 ``(H, W)``.
    """

    table: Tensor
    counts: Tensor
    panoptic_map: Tensor
    depth: Tensor
    panoptic_ids: Tensor
    id_map: Tensor
    semantic_map: Tensor


class GpuInterpreter:
    """Takes ``depthlab_core.interpret``'s arguments and gives its answer.

    There is room for a number of centres, since distances to all of it are computed. An image with
    more of them is worked on a second time; the room stays as large from then on.

    Attributes:
        room: Centres that there is room for now.
    """

    def __init__(self, device: torch.device) -> None:
        """Make what the copies to the host need.

        Args:
            device: Of the network's output.
        """
        self._download = Download(device)
        self._run: Callable[..., DeviceAnswer] = _interpret_parts
        if device.type == "cuda":
            self._run = Graphs(_interpret_parts)
        self._depth_scale = torch.ones((), device=device)
        self.room = _ROOM

    def __call__(
        self,
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
            output: Of the network, a batch of one.
            height: Rows of the image.
            width: Columns of the image.
            labels: What the network predicts.
            postprocess: Thresholds.
            depth_scale: What the network's depth is multiplied by to become metres.
            mask_undefined: Give NaN where the category has no depth (sky).
        """
        # What waits for the device, once, may not happen during a capture.
        tables_of(labels, output.depth.device)
        self._depth_scale.fill_(depth_scale)
        while True:
            answer = self._run(
                *output,
                self._depth_scale,
                height=height,
                width=width,
                labels=labels,
                postprocess=postprocess,
                mask_undefined=mask_undefined,
                room=self.room,
            )
            table, counts, panoptic_map, depth, ids, id_map, semantic_map = self._download(answer)
            centers, segments = counts.tolist()
            if centers <= self.room:
                break
            while self.room < centers:
                self.room *= 2
        rows = table[:segments]
        measured = SegmentTable(
            panoptic_id=ids[:segments],
            area=rows[:, 0].astype(np.int64),
            valid=rows[:, 1].astype(np.int64),
            box=rows[:, 2:6].astype(np.int64),
            centroid=rows[:, 6:8],
            probability=rows[:, 8],
            peak=rows[:, 9],
            depth=rows[:, 10:],
        )
        return Interpretation(
            panoptic_map,
            semantic_map,
            id_map.view(np.uint16),
            depth,
            segments_of_table(measured, labels),
        )


def _interpret_parts(
    semantic_logits: Tensor,
    center_heatmap: Tensor,
    offset: Tensor,
    depth: Tensor,
    depth_scale: Tensor,
    *,
    height: int,
    width: int,
    labels: LabelSet,
    **options: Any,
) -> DeviceAnswer:
    output = ModelOutput(semantic_logits, center_heatmap, offset, depth)
    tables = tables_of(labels, depth.device)
    return interpret_on_device(
        output, height, width, labels=labels, tables=tables, depth_scale=depth_scale, **options
    )


def interpret_on_device(
    output: ModelOutput,
    height: int,
    width: int,
    *,
    labels: LabelSet,
    tables: Tables,
    postprocess: PostprocessConfig,
    depth_scale: float | Tensor,
    mask_undefined: bool,
    room: int,
) -> DeviceAnswer:
    """Do all that is done on the device; the host waits for none of it.

    Args:
        output: As ``GpuInterpreter`` takes it.
        height: Likewise.
        width: Likewise.
        labels: Likewise.
        tables: Of these labels, on the output's device.
        postprocess: Likewise.
        depth_scale: Likewise.
        mask_undefined: Likewise.
        room: Centres that there is room for; see ``Centers.found``.
    """
    output = restore(output, height, width)
    logits, heatmap = output.semantic_logits[0], output.center_heatmap[0, 0]
    semantic_map = logits.argmax(dim=0)
    centers = find_instance_centers(
        heatmap,
        threshold=postprocess.center_threshold,
        nms_kernel=postprocess.nms_kernel,
        top_k=postprocess.top_k,
        room=room,
    )
    instance_map = group_pixels(centers, output.offset[0], tables.is_thing[semantic_map])
    slots = fill_slots(
        count_votes(instance_map, semantic_map, room, len(labels)),
        tables.is_thing,
        label_divisor=labels.label_divisor,
        stuff_area=postprocess.stuff_area_at(height, width),
    )
    slot = slot_of_pixels(instance_map, semantic_map, len(labels))
    panoptic_map, id_map = slots.panoptic[slot], slots.segment[slot]
    category = panoptic_map.div(labels.label_divisor, rounding_mode="floor")
    category = category.where(panoptic_map != VOID, semantic_map).long()
    log_probability = logits.gather(0, category[None])[0] - logits.logsumexp(dim=0)
    depth = output.depth[0, 0].float() * depth_scale
    if mask_undefined:
        depth = depth.masked_fill(~tables.has_depth[category], torch.nan)
    table = measure_segments(
        id_map, log_probability.exp().float(), heatmap, depth, len(slots.segment)
    )
    return DeviceAnswer(
        table,
        torch.stack([centers.found, slots.found]),
        panoptic_map,
        depth,
        slots.panoptic_ids,
        id_map.to(torch.int16),
        semantic_map.to(torch.uint8),
    )
