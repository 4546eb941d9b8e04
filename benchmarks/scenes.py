# SPDX-License-Identifier: Apache-2.0
"""Made-up network outputs with the structure of street scenes, of any size and crowd."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from depthlab_core.network import ModelOutput

_OUTPUT_STRIDE = 4
_RADIUS = 2.0
"""Standard deviation of a centre's peak, in pixels of the network's grid."""


def street_scene(
    height: int, width: int, *, centers: int, seed: int = 0, num_classes: int = 19
) -> ModelOutput:
    """Make one image's output: regions with ragged borders, peaks, offsets to the nearest peak.

    About ``8 / 19`` of the image is things. Peaks that fall together merge, so there are at most
    as many centres as asked for.

    Args:
        height: Of the image, in pixels; the output's grid is a quarter of it.
        width: Likewise.
        centers: Peaks in the centre heatmap.
        seed: Of the random numbers.
        num_classes: Channels of the semantic logits.
    """
    generator = torch.Generator().manual_seed(seed)
    rows, columns = height // _OUTPUT_STRIDE, width // _OUTPUT_STRIDE

    def smooth(channels: int) -> Tensor:
        coarse = torch.randn(1, channels, 8, 16, generator=generator)
        return F.interpolate(coarse, (rows, columns), mode="bicubic", align_corners=False)

    logits = 6 * smooth(num_classes)
    logits += 0.3 * torch.randn(logits.shape, generator=generator)
    y = torch.arange(rows, dtype=torch.float32)[:, None]
    x = torch.arange(columns, dtype=torch.float32)[None]
    heatmap = torch.zeros(rows, columns)
    offset = 2 * torch.randn(2, rows, columns, generator=generator)
    nearest = torch.full((rows, columns), torch.inf)
    to_center = torch.zeros(2, rows, columns)
    for place in torch.rand(centers, 3, generator=generator).tolist():
        dy, dx = place[0] * rows - y, place[1] * columns - x
        squared = dy**2 + dx**2
        peak = (0.5 + place[2] / 2) * torch.exp(-squared / (2 * _RADIUS**2))
        heatmap = torch.maximum(heatmap, peak)
        is_nearer = squared < nearest
        nearest = torch.where(is_nearer, squared, nearest)
        to_center[0] = torch.where(is_nearer, dy, to_center[0])
        to_center[1] = torch.where(is_nearer, dx, to_center[1])
    depth = torch.exp(2.5 + smooth(1))
    return ModelOutput(logits, heatmap[None, None], (offset + to_center)[None], depth)
