# SPDX-License-Identifier: Apache-2.0
"""Focal length, and what it says about depth."""

from __future__ import annotations

import math

from depthlab_core.config import DepthConfig
from depthlab_core.strict_load import require


def focal_length_from_fov(width: int, horizontal_fov: float) -> float:
    """Return the focal length of an ideal camera.

    Args:
        width: Image width in pixels.
        horizontal_fov: Full horizontal field of view in degrees, between 0 and 180.

    Returns:
        Focal length in pixels of that image.

    Raises:
        ValueError: If the field of view is not between 0 and 180 degrees.
    """
    require(0 < horizontal_fov < 180, "horizontal_fov", horizontal_fov, "0 to 180 degrees")
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
