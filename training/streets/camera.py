# SPDX-License-Identifier: Apache-2.0
"""Pinhole cameras and where they are mounted.

World axes: x east, y north, z up (metres). Camera axes are optical: x right, y down, z forward.
The centre of the first pixel has coordinates (0, 0), as in OpenCV and ROS.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from training.streets.mesh import FloatArray


@dataclass(frozen=True)
class Camera:
    """An ideal camera at a pose.

    Attributes:
        width: Image width, pixels.
        height: Image height, pixels.
        focal_length: fx = fy, pixels.
        principal_point: (cx, cy), pixels.
        world_from_camera: ``(4, 4)`` pose of the optical frame.
    """

    width: int
    height: int
    focal_length: float
    principal_point: tuple[float, float]
    world_from_camera: FloatArray

    @property
    def intrinsics(self) -> npt.NDArray[np.float64]:
        """The matrix K, ``(3, 3)``."""
        cx, cy = self.principal_point
        return np.array(
            [[self.focal_length, 0, cx], [0, self.focal_length, cy], [0, 0, 1]], np.float64
        )

    @property
    def camera_from_world(self) -> FloatArray:
        """Inverse of the pose, ``(4, 4)``."""
        return np.linalg.inv(self.world_from_camera)

    @property
    def position(self) -> FloatArray:
        """Optical centre in the world, ``(3,)``."""
        return self.world_from_camera[:3, 3]

    def moved(self, world_from_camera: FloatArray) -> "Camera":
        """Return the same camera at another pose."""
        return replace(self, world_from_camera=world_from_camera)

    def clip_from_camera(self, supersample: int, near: float, far: float) -> FloatArray:
        """Return the OpenGL projection ``(4, 4)``.

        Row 0 of the frame buffer is the top row of the image, and the first of the
        ``supersample`` × ``supersample`` samples of a pixel lies exactly on the pixel's centre.
        """
        cx, cy = self.principal_point
        half_sample = 0.5 / supersample
        x_scale, y_scale = 2 / self.width, 2 / self.height
        return np.array(
            [
                [x_scale * self.focal_length, 0, x_scale * (cx + half_sample) - 1, 0],
                [0, y_scale * self.focal_length, y_scale * (cy + half_sample) - 1, 0],
                [0, 0, (far + near) / (far - near), -2 * far * near / (far - near)],
                [0, 0, 1, 0],
            ]
        )


def mounted(
    ground: FloatArray, yaw: float, height: float, *, pitch: float = 0.0, roll: float = 0.0
) -> FloatArray:
    """Return the pose of a camera over a point of the ground.

    Args:
        ground: ``(3,)`` point under the camera.
        yaw: Direction of view, radians counter-clockwise from x.
        height: Height over the ground, metres.
        pitch: Positive looks down, radians.
        roll: Positive leans right, radians.
    """
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    down = np.cross(forward, right)
    matrix = np.eye(4)
    matrix[:3, 0] = np.cos(roll) * right + np.sin(roll) * down
    matrix[:3, 1] = -np.sin(roll) * right + np.cos(roll) * down
    matrix[:3, 2] = forward
    matrix[:3, 3] = np.asarray(ground) + [0, 0, height]
    return matrix


def focal_length_of(width: int, field_of_view: float) -> float:
    """Return the focal length in pixels of a horizontal field of view in degrees."""
    return float(width / 2 / np.tan(np.radians(field_of_view) / 2))
