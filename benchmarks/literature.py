# SPDX-License-Identifier: Apache-2.0
"""Post-processing as the literature states it: every pixel against every centre, class by class.

The yardstick: Panoptic-DeepLab (Cheng et al., CVPR 2020, section 3.3) without any thought of
speed, on maps of full resolution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from depthlab_core.labels import VOID


def find_centers(heatmap: Tensor, *, threshold: float, nms_kernel: int, top_k: int) -> Tensor:
    """Return int64 ``(K, 2)``, (y, x) of the maxima of a heatmap ``(H, W)``."""
    heatmap = F.threshold(heatmap, threshold, -1)[None]
    pooled = F.max_pool2d(heatmap, nms_kernel, stride=1, padding=nms_kernel // 2)
    heatmap[heatmap != pooled] = -1
    heatmap = heatmap[0]
    if torch.count_nonzero(heatmap > 0) < top_k:
        return torch.nonzero(heatmap > 0)
    return torch.nonzero(heatmap > torch.topk(heatmap.flatten(), top_k).values[-1].clamp(min=0))


def group_pixels(centers: Tensor, offset: Tensor) -> Tensor:
    """Return int64 ``(H, W)``, 1 + the index of the centre nearest to where a pixel points.

    All distances at once, as the paper's own code and detectron2 have it: 5 GB for 200 centres
    and 2048 x 1024 pixels.
    """
    height, width = offset.shape[1:]
    if len(centers) == 0:
        return torch.zeros(height, width, dtype=torch.int64)
    distance: Tensor = torch.norm(centers[:, None].float() - _targets(offset)[None], dim=-1)
    return distance.argmin(dim=0).view(height, width) + 1


def group_pixels_by_center(centers: Tensor, offset: Tensor) -> Tensor:
    """Return the same, a centre at a time and without roots: quicker, and little memory."""
    height, width = offset.shape[1:]
    targets = _targets(offset)
    nearest = torch.zeros(height * width, dtype=torch.int64)
    smallest = torch.full((height * width,), torch.inf)
    for index, center in enumerate(centers):
        distance = ((targets - center.float()) ** 2).sum(dim=1)
        is_nearer = distance < smallest
        nearest[is_nearer] = index + 1
        smallest[is_nearer] = distance[is_nearer]
    return nearest.view(height, width)


def _targets(offset: Tensor) -> Tensor:
    """Return float32 ``(H * W, 2)``: where pixels point to, (y, x)."""
    y, x = torch.meshgrid(*map(torch.arange, offset.shape[1:]), indexing="ij")
    return (torch.stack([y, x]) + offset).flatten(1).T


def merge(
    semantic_map: Tensor,
    instance_map: Tensor,
    *,
    thing_ids: Sequence[int],
    label_divisor: int,
    stuff_area: int,
) -> Tensor:
    """Return the panoptic map, int64 ``(H, W)``."""
    panoptic_map = torch.full_like(semantic_map, VOID)
    is_thing = torch.isin(semantic_map, torch.tensor(list(thing_ids)))
    counters: dict[int, int] = {}
    for instance_id in torch.unique(instance_map):
        mask = (instance_map == instance_id) & is_thing
        if instance_id == 0 or not mask.any():
            continue
        category = int(torch.mode(semantic_map[mask]).values)
        counters[category] = counters.get(category, 0) + 1
        panoptic_map[mask] = category * label_divisor + counters[category]
    for category in torch.unique(semantic_map).tolist():
        mask = (semantic_map == category) & ~is_thing
        if category not in thing_ids and mask.sum() >= stuff_area:
            panoptic_map[mask] = category * label_divisor
    return panoptic_map


class Description(NamedTuple):
    """One segment: pixels, metres, and (u, v)."""

    area: int
    box: tuple[int, int, int, int]
    centroid: tuple[float, float]
    mean: float
    std: float
    quantiles: tuple[float, float, float]
    valid_ratio: float


def describe(
    panoptic_map: npt.NDArray[np.int64], depth: npt.NDArray[np.float32]
) -> dict[int, Description]:
    """Return area, box, centroid and depth (0.05, 0.5 and 0.95 quantile) of each panoptic id."""
    found = {}
    for panoptic_id in np.unique(panoptic_map).tolist():
        if panoptic_id != VOID:
            mask = panoptic_map == panoptic_id
            v, u = np.nonzero(mask)
            values = depth[mask]
            values = values[np.isfinite(values)]
            known = len(values) > 0
            found[panoptic_id] = Description(
                area=len(u),
                box=(int(u.min()), int(v.min()), int(np.ptp(u)) + 1, int(np.ptp(v)) + 1),
                centroid=(float(u.mean()), float(v.mean())),
                mean=float(values.mean(dtype=np.float64)) if known else math.nan,
                std=float(values.std(dtype=np.float64)) if known else math.nan,
                quantiles=tuple(np.quantile(values, (0.05, 0.5, 0.95)).tolist())
                if known
                else (math.nan,) * 3,
                valid_ratio=len(values) / len(u),
            )
    return found


def draw(
    image: npt.NDArray[np.uint8],
    id_map: npt.NDArray[np.uint16],
    colors: Mapping[int, tuple[int, int, int]],
    opacity: float,
) -> npt.NDArray[np.uint8]:
    """Tint and outline one segment after the other."""
    canvas: npt.NDArray[np.uint8] = image.copy()
    for segment, color in colors.items():
        mask = id_map == segment
        canvas[mask] = (1 - opacity) * image[mask] + opacity * np.array(color)
        outlines, _ = cv2.findContours(
            mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(canvas, outlines, -1, (255, 255, 255), 2)
    return canvas
