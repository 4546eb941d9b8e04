# SPDX-License-Identifier: Apache-2.0
"""Area, box, centroid, score and exact depth statistics of all segments at once."""

from __future__ import annotations

import torch
from torch import Tensor

from depthlab_core.gpu.grouping import count_rows

_QUANTILES = (0.05, 0.5, 0.95)
_SEGMENT = 1 << 32
"""Of a pixel's sorting key: segments come first, depth takes the lower 32 bits."""

COLUMNS = 15
"""area, valid, first column, first row, last column, last row, u, v, probability, peak, and of the
depth mean, standard deviation, 0.05, 0.5 and 0.95 quantile."""


def measure_segments(
    id_map: Tensor, probability: Tensor, center_heatmap: Tensor, depth: Tensor, count: int
) -> Tensor:
    """Measure every segment.

    Args:
        id_map: int64 ``(H, W)``, ``Segment.id``, 0 to ``count``; 0 is void.
        probability: float ``(H, W)``, of each pixel's own panoptic category.
        center_heatmap: float ``(H, W)``.
        depth: float32 ``(H, W)``, metres; values that are not finite count as unknown.
        count: Most segments that there can be.

    Returns:
        float64 ``(count, COLUMNS)``, row ``i`` of the segment ``i + 1``. Depth is NaN where a
        segment has none; rows of segments that are not there have no meaning.
    """
    in_rows = count_rows(id_map, count + 1)[:, 1:]
    in_columns = count_rows(id_map.T, count + 1)[:, 1:]
    area = in_rows.sum(dim=0)
    top, bottom, v = _extent(in_rows, area)
    left, right, u = _extent(in_columns, area)
    mean_probability = _sum(probability, id_map, count) / area
    place = v.long() * id_map.shape[1] + u.long()
    peak = center_heatmap.flatten()[place]
    valid, statistics = _describe_depth(depth, id_map, count)
    columns = [area, valid, left, top, right, bottom, u, v, mean_probability, peak]
    return torch.cat([torch.stack([c.double() for c in columns], dim=1), statistics], dim=1)


def _extent(counts: Tensor, area: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return first, last and mean line of each segment.

    Args:
        counts: int32 ``(lines, N)``, a segment's pixels in each row or column.
        area: int64 ``(N,)``.
    """
    lines = torch.arange(len(counts), device=counts.device)[:, None]
    is_absent = counts == 0
    first = lines.masked_fill(is_absent, len(counts)).amin(dim=0)
    last = lines.masked_fill(is_absent, -1).amax(dim=0)
    return first, last, (counts * lines).sum(dim=0).double() / area.clamp(min=1)


def _sum(values: Tensor, ids: Tensor, count: int) -> Tensor:
    """Return float64 ``(count,)``, the sum of each segment's values, row by row first."""
    rows = torch.zeros(len(ids), count + 1, dtype=torch.float64, device=ids.device)
    return rows.scatter_add_(1, ids, values.double()).sum(dim=0)[1:]


def _describe_depth(depth: Tensor, id_map: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the pixels that have a depth, int64 ``(N,)``, and float64 ``(N, 5)``."""
    is_unknown = ~depth.isfinite()
    ids = id_map.masked_fill(is_unknown, 0)
    depth = depth.masked_fill(is_unknown, 0)
    pixels = count_rows(ids, count + 1).sum(dim=0)
    valid = pixels[1:]
    mean = _sum(depth, ids, count) / valid
    # Void's pixels are compared with the first segment; nobody reads their sum.
    deviation = depth - mean[(ids - 1).clamp(min=0)]
    std = (_sum(deviation.square(), ids, count) / valid).sqrt()
    quantiles = _quantiles(depth, ids, pixels)
    return valid, torch.stack([mean, std, *quantiles], dim=1)


def _quantiles(depth: Tensor, ids: Tensor, pixels: Tensor) -> list[Tensor]:
    """Return exact quantiles, linear between values as in numpy, float64 ``(N,)`` each.

    Args:
        depth: float32 ``(H, W)``, finite.
        ids: int64 ``(H, W)``.
        pixels: int64 ``(N + 1,)``, of each id.
    """
    bits = _in_order(depth.contiguous().view(torch.int32))
    keys = (ids * _SEGMENT + bits).flatten().sort().values
    valid = pixels[1:]
    start = (pixels.cumsum(dim=0) - pixels)[1:]
    found = []
    for quantile in _QUANTILES:
        rank = quantile * (valid - 1).clamp(min=0).double()
        low = rank.long()
        near, far = (
            _depth_of(keys[(start + place).clamp(max=len(keys) - 1)])
            for place in (low, torch.minimum(low + 1, (valid - 1).clamp(min=0)))
        )
        found.append((near + (far - near) * (rank - low)).masked_fill(valid == 0, torch.nan))
    return found


def _in_order(bits: Tensor) -> Tensor:
    """Map the bits of floats, a sign and a magnitude, to int32 of the same order, and back."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def _depth_of(key: Tensor) -> Tensor:
    return _in_order(key.to(torch.int32)).view(torch.float32).double()
