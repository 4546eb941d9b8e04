# SPDX-License-Identifier: Apache-2.0
"""Nearest centres of all pixels, and how many pixels there are of each kind."""

from __future__ import annotations

import torch
from torch import Tensor

from depthlab_core.gpu.centers import Centers

_DISTANCES_AT_ONCE = 1 << 22
"""Pixels times centres whose distances are held at a time: two times 16 MiB, which stay in the
second-level cache of large GPUs."""


def group_pixels(centers: Centers, offset: Tensor, is_thing: Tensor) -> Tensor:
    """Assign pixels to the centre nearest to where their offset points.

    Args:
        centers: From ``find_instance_centers``.
        offset: float ``(2, H, W)``, (dy, dx) in pixels of this grid.
        is_thing: bool ``(H, W)``, the pixels to assign.

    Returns:
        int64 ``(H, W)``: 1 + the index of the nearest centre (the first of equally near ones) on
        things, 0 elsewhere, and everywhere if there are no centres.
    """
    height, width = is_thing.shape
    # In float32 whatever the network ran in: bfloat16 coordinates are off by up to 4 pixels.
    offset = offset.to(torch.float32)
    rows = torch.arange(height, dtype=torch.float32, device=offset.device)
    columns = torch.arange(width, dtype=torch.float32, device=offset.device)
    targets_y = (rows[:, None] + offset[0]).flatten()
    targets_x = (columns + offset[1]).flatten()
    y, x = centers.points[:, :1], centers.points[:, 1:]
    at_once = max(_DISTANCES_AT_ONCE // len(y), 1)
    nearest = []
    for part_y, part_x in zip(
        torch.split(targets_y, at_once), torch.split(targets_x, at_once), strict=True
    ):
        # No product of matrices, which GPUs round to 10 bits of mantissa where TF32 is on.
        squared = (y - part_y).square_().add_((x - part_x).square_())
        nearest.append(squared.argmin(dim=0))
    instance_map = torch.cat(nearest).view(height, width) + 1
    return instance_map.masked_fill(~is_thing | (centers.found == 0), 0)


def count_rows(values: Tensor, count: int) -> Tensor:
    """Count the values of each row of an image.

    A histogram of its own for each row, because pixels that add to the same number have to queue.

    Args:
        values: int64 ``(H, W)``, 0 to ``count - 1``.
        count: Of bins.

    Returns:
        int32 ``(H, count)``.
    """
    ones = torch.ones((), dtype=torch.int32, device=values.device)
    bins = torch.zeros(len(values), count, dtype=torch.int32, device=values.device)
    return bins.scatter_add_(1, values, ones.expand_as(values))


def count_votes(instance_map: Tensor, semantic_map: Tensor, room: int, classes: int) -> Tensor:
    """Count pixels by instance and category.

    Args:
        instance_map: int64 ``(H, W)``, 0 to ``room``.
        semantic_map: int64 ``(H, W)``, 0 to ``classes - 1``.
        room: Highest instance.
        classes: Number of categories.

    Returns:
        int64 ``(room + 1, classes)``.
    """
    pairs = instance_map * classes + semantic_map
    return count_rows(pairs, (room + 1) * classes).sum(dim=0).view(room + 1, classes)
