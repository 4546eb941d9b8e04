# SPDX-License-Identifier: Apache-2.0
"""Stereo disparity as a real matcher leaves it: with holes where it cannot see or cannot match."""

import numpy as np
import numpy.typing as npt

Depth = npt.NDArray[np.float32]
BASELINE = 0.22
LARGEST_DISPARITY = 126.0


def disparity_from_depth(
    depth: Depth,
    *,
    focal_length: float,
    baseline: float = BASELINE,
    largest: float = LARGEST_DISPARITY,
) -> Depth:
    """Return the disparity of a left camera whose right neighbour sees the same scene.

    Args:
        depth: ``(H, W)`` metres along the optical axis, 0 = none.
        focal_length: Pixels.
        baseline: Metres.
        largest: Search range of the matcher, pixels; nearer points have no match.

    Returns:
        ``(H, W)`` float32 pixels, 0 = no measurement: outside the right image (the left border
        band), hidden from the right camera, beyond the search range, or sky.
    """
    height, width = depth.shape
    disparity = np.zeros_like(depth)
    valid = depth > 0
    disparity[valid] = focal_length * baseline / depth[valid]
    columns = np.broadcast_to(np.arange(width, dtype=np.float32), (height, width))
    right = columns - disparity
    inside = valid & (right >= 0) & (disparity <= largest)
    # A point is hidden if a nearer one lands on its place in the right image: keep the largest
    # disparity per place, then ask each point whether it is the one that was kept.
    rows = np.broadcast_to(np.arange(height)[:, None], (height, width))
    place = np.clip(np.round(right).astype(np.int64), 0, width - 1)
    nearest = np.zeros((height, width), np.float32)
    np.maximum.at(nearest, (rows[inside], place[inside]), disparity[inside])
    hidden = disparity < nearest[rows, place] - 1.0
    return np.where(inside & ~hidden, disparity, 0).astype(np.float32)


def encode_disparity(disparity: Depth) -> npt.NDArray[np.uint16]:
    """Return Cityscapes' coding ``(H, W)`` uint16: ``d * 256 + 1``, 0 = no measurement."""
    coded = np.round(disparity * 256 + 1)
    return np.where(disparity > 0, np.clip(coded, 1, 65535), 0).astype(np.uint16)
