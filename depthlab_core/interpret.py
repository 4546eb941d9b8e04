# SPDX-License-Identifier: Apache-2.0
"""From the network's output to segments and maps on the image's grid, in plain torch and numpy.

This is the readable form, which others are tested against: ``depthlab_core.cpu.interpret`` answers
the same on a CPU, faster, and ``depthlab_core.gpu.interpret`` on a GPU, without waiting for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from depthlab_core.config import PostprocessConfig
from depthlab_core.labels import VOID, LabelSet
from depthlab_core.network import ModelOutput
from depthlab_core.postprocess import panoptic_segmentation
from depthlab_core.restore import restore
from depthlab_core.segments import Segment, compute_segments


@dataclass(frozen=True)
class Interpretation:
    """What the network saw, on the image's grid.

    Attributes:
        panoptic_map: int32 ``(H, W)``, ``category_id * label_divisor + instance_id``; -1 is void.
        semantic_map: uint8 ``(H, W)``, category ids; every pixel has one.
        id_map: uint16 ``(H, W)``, ``Segment.id``; 0 is void.
        depth: float32 ``(H, W)``, metres along the camera's Z axis, NaN where unknown.
        segments: In ascending order of their panoptic id.
    """

    panoptic_map: npt.NDArray[np.int32]
    semantic_map: npt.NDArray[np.uint8]
    id_map: npt.NDArray[np.uint16]
    depth: npt.NDArray[np.float32]
    segments: list[Segment]


def interpret(
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
    output = restore(output, height, width)
    logits = output.semantic_logits[0]
    semantic_map = logits.argmax(dim=0)
    panoptic_map, _ = panoptic_segmentation(
        semantic_map,
        output.center_heatmap[0, 0],
        output.offset[0],
        thing_ids=labels.thing_ids,
        label_divisor=labels.label_divisor,
        stuff_area=postprocess.stuff_area_at(height, width),
        threshold=postprocess.center_threshold,
        nms_kernel=postprocess.nms_kernel,
        top_k=postprocess.top_k,
    )
    category = panoptic_map.div(labels.label_divisor, rounding_mode="floor")
    category = category.where(panoptic_map != VOID, semantic_map).long()
    log_probability = logits.gather(0, category[None])[0] - logits.logsumexp(dim=0)
    depth = output.depth[0, 0].float() * depth_scale
    if mask_undefined:
        undefined = torch.tensor(labels.no_depth_ids, device=depth.device)
        depth = depth.masked_fill(torch.isin(category, undefined), torch.nan)
    panoptic = _to_numpy(panoptic_map)
    metres = _to_numpy(depth)
    segments, id_map = compute_segments(
        panoptic,
        metres,
        _to_numpy(log_probability.exp().float()),
        _to_numpy(output.center_heatmap[0, 0].float()),
        labels,
    )
    semantic = _to_numpy(semantic_map.to(torch.uint8))
    return Interpretation(panoptic, semantic, id_map, metres, segments)


def _to_numpy(x: Tensor) -> npt.NDArray[Any]:
    return x.cpu().numpy()
