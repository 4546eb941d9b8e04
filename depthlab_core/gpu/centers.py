# SPDX-License-Identifier: Apache-2.0
"""Instance centres in a table of fixed length."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Centers(NamedTuple):
    """Centres, and room for more.

    Attributes:
        points: float32 ``(K, 2)``, (y, x) in row-major order; from ``found`` on, repetitions of
            the first, which are thus never the first of equally near ones. Of no meaning if
            ``count`` is 0.
        found: int64 ``()``, number of centres. More than ``K`` where the room was too small.
    """

    points: Tensor
    found: Tensor


def find_instance_centers(
    center_heatmap: Tensor, *, threshold: float, nms_kernel: int, top_k: int | None, room: int
) -> Centers:
    """Find what ``postprocess.find_instance_centers`` finds.

    Args:
        center_heatmap: float ``(H, W)``.
        threshold: As there.
        nms_kernel: Likewise.
        top_k: Likewise.
        room: Rows of the result, 1 or more. If there are more centres and ``top_k`` is None,
            ``found`` says no more than that there are more.
    """
    width, size = center_heatmap.shape[1], center_heatmap.numel()
    reach = nms_kernel // 2
    heatmap = F.threshold(center_heatmap, threshold, -1.0)
    # The highest of a window is the highest of its rows' highest: 2 n comparisons, not n * n.
    pooled = F.max_pool2d(heatmap[None], (1, nms_kernel), stride=1, padding=(0, reach))
    pooled = F.max_pool2d(pooled, (nms_kernel, 1), stride=1, padding=(reach, 0))[0]
    peaks = heatmap.masked_fill(heatmap != pooled, -1.0).flatten()
    if top_k is not None and top_k <= size:
        values, places = peaks.topk(top_k)
        is_center = values > values[-1].clamp(min=0)
    else:
        values, places = peaks.topk(min(room + 1, size))
        is_center = values > 0
    # Sorted by place; what is no centre comes last.
    places = places.masked_fill(~is_center, size).sort().values
    places = F.pad(places, (0, max(room - len(places), 0)), value=size)[:room]
    places = places.where(places < size, places[0]).clamp(max=size - 1)
    points = torch.stack([places.div(width, rounding_mode="floor"), places % width], dim=1)
    return Centers(points.to(torch.float32), is_center.sum())
