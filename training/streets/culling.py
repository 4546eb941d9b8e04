# SPDX-License-Identifier: Apache-2.0
"""Which placed copies a camera can see, and in what order to draw them."""

import numpy as np
import numpy.typing as npt

from training.streets.camera import Camera
from training.streets.mesh import FloatArray

Placed = npt.NDArray[np.void]


def in_view(radius: float, placed: Placed, camera: Camera) -> Placed:
    """Return the copies ``(N,)`` whose bounding sphere reaches into the camera's view."""
    radii = radius * scale(placed)
    camera_from_world = camera.camera_from_world
    centers = placed["rows"][:, :, 3] @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    keep = centers[:, 2] > -radii
    cx, cy = camera.principal_point
    for axis, reach in ((0, max(cx, camera.width - cx)), (1, max(cy, camera.height - cy))):
        slope = reach / camera.focal_length
        outside = np.abs(centers[:, axis]) - slope * centers[:, 2]
        keep &= outside < radii * np.hypot(1, slope)
    return np.asarray(placed[keep])


def distance(placed: Placed, point: FloatArray) -> FloatArray:
    """Return how far each copy's origin is from a world point, metres ``(N,)``."""
    return np.asarray(np.linalg.norm(placed["rows"][:, :, 3] - point, axis=1))


def scale(placed: Placed) -> FloatArray:
    """Return the largest scale factor of each copy ``(N,)``."""
    return np.asarray(np.linalg.norm(placed["rows"][:, :, :3], axis=1).max(axis=1))
