# SPDX-License-Identifier: Apache-2.0
"""From semantic map, centre heatmap and offsets to a panoptic map, in plain torch.

The algorithm and its corner cases are those of Panoptic-DeepLab (Cheng et al., CVPR 2020, section
3.3) as detectron2 implements it. All maps are of one image and on one grid; coordinates are
(y, x).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from depthlab_core.labels import VOID

MOST_SEGMENTS = 65535
"""In an image: id maps have 16 bits, and 0 is void."""
_DISTANCES_AT_ONCE = 1 << 22
"""Pixels times centres whose distances are held at a time: 16 MiB an intermediate."""


def find_instance_centers(
    center_heatmap: Tensor, *, threshold: float, nms_kernel: int, top_k: int | None
) -> Tensor:
    """Find the local maxima of a centre heatmap.

    Args:
        center_heatmap: float ``(H, W)``.
        threshold: Values that do not exceed it are no centres; neither are values of 0 or less.
        nms_kernel: Odd width in pixels of the window in which a centre is the maximum. All pixels
            of a plateau are centres.
        top_k: Keep centres strictly above the ``top_k``-th highest value, so at most
            ``top_k - 1`` where there are that many candidates; None keeps all.

    Returns:
        int64 ``(K, 2)``, rows (y, x) in row-major order.
    """
    heatmap = F.threshold(center_heatmap, threshold, -1.0)
    pooled = F.max_pool2d(heatmap[None], nms_kernel, stride=1, padding=nms_kernel // 2)[0]
    heatmap = heatmap.masked_fill(heatmap != pooled, -1.0)
    smallest = heatmap.new_zeros(())
    if top_k is not None and top_k <= heatmap.numel():
        smallest = torch.topk(heatmap.flatten(), top_k).values[-1].clamp(min=0)
    return torch.nonzero(heatmap > smallest)


def group_pixels(centers: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
    """Assign pixels to the centre nearest to where their offset points.

    Args:
        centers: int64 ``(K, 2)``, (y, x).
        offset: float ``(2, H, W)``, (dy, dx) in pixels of this grid.
        mask: bool ``(H, W)``, the pixels to assign.

    Returns:
        int64 ``(H, W)``: 1 + the index of the nearest centre (the first of equally near ones)
        within ``mask``, 0 outside of it, and everywhere if there are no centres.
    """
    instance_map = torch.zeros(mask.shape, dtype=torch.int64, device=mask.device)
    if len(centers) == 0:
        return instance_map
    pixels = torch.nonzero(mask)
    # In float32 whatever the network ran in: bfloat16 coordinates are off by up to 4 pixels.
    targets = pixels + offset[:, mask].T.to(torch.float32)
    points = centers.to(torch.float32)
    nearest = [
        ((part[:, None] - points[None]) ** 2).sum(dim=2).argmin(dim=1)
        for part in torch.split(targets, max(_DISTANCES_AT_ONCE // len(centers), 1))
    ]
    if nearest:
        instance_map[mask] = torch.cat(nearest) + 1
    return instance_map


def merge_semantic_and_instance(
    semantic_map: Tensor,
    instance_map: Tensor,
    *,
    thing_ids: Sequence[int],
    label_divisor: int,
    stuff_area: int,
) -> Tensor:
    """Merge classes and instances into one panoptic map.

    An instance takes the class that most of its pixels have (the lowest of equally frequent ones);
    instances of a class are counted from 1 in the order of their ids, and from ``label_divisor``
    on they become void, as do those that would be more than ``MOST_SEGMENTS`` with all stuff.
    Stuff is pasted outside of instances where a class covers ``stuff_area`` pixels or more there.
    The rest is void.

    Args:
        semantic_map: integer ``(H, W)``, category ids.
        instance_map: int64 ``(H, W)``, instance ids from 1; 0 outside of instances.
        thing_ids: Category ids that are things.
        label_divisor: ``panoptic = category_id * label_divisor + instance_id``.
        stuff_area: In pixels.

    Returns:
        int32 ``(H, W)``, ``VOID`` where nothing is.
    """
    # As an index, uint8 would be a mask.
    semantic_map = semantic_map.to(torch.int64)
    num_classes = int(max(int(semantic_map.max()), *thing_ids, 0)) + 1
    num_instances = int(instance_map.max())
    votes = torch.bincount(
        (instance_map * num_classes + semantic_map).flatten(),
        minlength=(num_instances + 1) * num_classes,
    ).view(num_instances + 1, num_classes)
    is_thing = torch.zeros(num_classes, dtype=torch.bool, device=votes.device)
    is_thing[list(thing_ids)] = True
    labels = panoptic_labels(
        votes, is_thing=is_thing, label_divisor=label_divisor, stuff_area=stuff_area
    )
    return labels[instance_map, semantic_map]


def panoptic_labels(
    votes: Tensor, *, is_thing: Tensor, label_divisor: int, stuff_area: int
) -> Tensor:
    """Decide what each instance and each stuff class becomes.

    Args:
        votes: integer ``(K + 1, C)``, pixels by instance (0: outside of instances) and category.
            Instances without a pixel become void, as do those of a class that has
            ``label_divisor - 1`` before them, and those with ``MOST_SEGMENTS - C`` before them.
        is_thing: bool ``(C,)``.
        label_divisor: As ``merge_semantic_and_instance`` takes it.
        stuff_area: Likewise.

    Returns:
        int32 ``(K + 1, C)``, the panoptic label of such pixels.
    """
    categories = torch.arange(votes.shape[1], dtype=torch.int32, device=votes.device)
    is_pasted = ~is_thing & (votes[0] >= stuff_area)
    stuff = (categories * label_divisor).masked_fill(~is_pasted, VOID)
    majority = votes[1:].argmax(dim=1).to(torch.int32)
    # An id without a pixel (its centre was nearest to nothing) must not be counted.
    is_present = votes[1:].sum(dim=1) > 0
    is_of = (majority[:, None] == categories) & is_present[:, None]
    counter = (is_of.cumsum(dim=0, dtype=torch.int32) * is_of).sum(dim=1, dtype=torch.int32)
    # A higher counter would be a label of the next class.
    is_told = is_present & (counter < label_divisor)
    is_told &= is_told.cumsum(dim=0) <= MOST_SEGMENTS - votes.shape[1]
    things = (majority * label_divisor + counter).masked_fill(~is_told, VOID)
    return torch.cat([stuff[None], things[:, None].expand(-1, len(categories))])


def panoptic_segmentation(
    semantic_map: Tensor,
    center_heatmap: Tensor,
    offset: Tensor,
    *,
    thing_ids: Sequence[int],
    label_divisor: int = 1000,
    stuff_area: int = 2048,
    threshold: float = 0.1,
    nms_kernel: int = 7,
    top_k: int | None = 200,
    foreground_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Turn one image's predictions into a panoptic map.

    Args:
        semantic_map: integer ``(H, W)``, category ids.
        center_heatmap: float ``(H, W)``.
        offset: float ``(2, H, W)``, (dy, dx) in pixels of this grid.
        thing_ids: Category ids that are things.
        label_divisor: ``panoptic = category_id * label_divisor + instance_id``.
        stuff_area: Smallest area of a stuff class in pixels.
        threshold: Of centres, see ``find_instance_centers``.
        nms_kernel: Likewise.
        top_k: Likewise.
        foreground_mask: bool or integer ``(H, W)``, non-zero where things are; by default where
            ``semantic_map`` is a thing.

    Returns:
        The panoptic map, int32 ``(H, W)`` with ``VOID`` where nothing is, and the centres, int64
        ``(K, 2)``, rows (y, x).
    """
    things = torch.tensor(list(thing_ids), device=semantic_map.device)
    is_thing = torch.isin(semantic_map, things) if foreground_mask is None else foreground_mask > 0
    centers = find_instance_centers(
        center_heatmap, threshold=threshold, nms_kernel=nms_kernel, top_k=top_k
    )
    panoptic_map = merge_semantic_and_instance(
        semantic_map,
        group_pixels(centers, offset, is_thing),
        thing_ids=thing_ids,
        label_divisor=label_divisor,
        stuff_area=stuff_area,
    )
    return panoptic_map, centers
