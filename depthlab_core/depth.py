# SPDX-License-Identifier: Apache-2.0
"""Focal length, disparity and depth, each by its own name."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from depthlab_core.config import DepthConfig


def focal_length_from_fov(width: int, horizontal_fov: float) -> float:
    """Return the focal length of an ideal camera.

    Args:
        width: Image width in pixels.
        horizontal_fov: Horizontal field of view in degrees, between 0 and 180.

    Returns:
        Focal length in pixels of that image.
    """
    return width / (2 * math.tan(math.radians(horizontal_fov) / 2))


def metric_scale(config: DepthConfig, *, focal_length: float) -> float:
    """Return what the network's depth is multiplied by to become metres of the camera in use.

    An object of one size covers as many pixels at distance Z with focal length f as at twice the
    distance with twice the focal length; so the network answers for one canonical focal length
    and the answer is scaled (Metric3D, Yin et al., ICCV 2023).

    Args:
        config: Says whether the network has a canonical focal length.
        focal_length: Of the camera, in pixels of the network's input.
    """
    if config.canonical_focal_length is None:
        return 1.0
    return focal_length / config.canonical_focal_length


def metric_depth(depth: Tensor, config: DepthConfig, *, focal_length: float) -> Tensor:
    """Turn the network's depth into metres of the camera in use, see ``metric_scale``.

    Args:
        depth: Output of the network, any shape.
        config: Says whether the network has a canonical focal length.
        focal_length: Of the camera, in pixels of the network's input.

    Returns:
        Metres along the camera's Z axis, same shape.
    """
    return depth * metric_scale(config, focal_length=focal_length)


def disparity_to_depth(disparity: Tensor, *, focal_length: float, baseline: float) -> Tensor:
    """Convert disparity to depth along the camera's Z axis, ``Z = f * B / d``.

    Args:
        disparity: In pixels, float ``(..., H, W)``; not positive or not finite means no estimate.
        focal_length: Horizontal focal length in pixels at the resolution of ``disparity``.
        baseline: Distance between the optical centres in metres.

    Returns:
        Depth in metres, same shape; NaN where there is no estimate (REP 118).

    Raises:
        ValueError: If ``focal_length`` or ``baseline`` is not positive.
    """
    if focal_length <= 0 or baseline <= 0:
        raise ValueError(
            f"focal_length, baseline: got {focal_length}, {baseline}, expected positive numbers"
        )
    is_valid = torch.isfinite(disparity) & (disparity > 0)
    depth = focal_length * baseline / disparity.where(is_valid, disparity.new_ones(()))
    return depth.where(is_valid, depth.new_full((), math.nan))
