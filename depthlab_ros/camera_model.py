# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera behind a ``sensor_msgs/CameraInfo``, without ROS types."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

Point = tuple[float, float, float]

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
# 1920x1088 is 1920x1080 to a video encoder, and no other view.
_SAME_SHAPE = 0.02
NOWHERE: Point = (math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class CameraModel:
    """Calibration of one camera at one resolution, with the names of ``CameraInfo``.

    Attributes:
        width: Columns of the images that ``k`` is for.
        height: Rows of the images that ``k`` is for.
        k: Intrinsic matrix, row by row (9 values, pixels); pixel centres at whole numbers.
        d: Distortion parameters; empty or all zero = none.
        distortion_model: Meaning of ``d``.
        r: Rectification rotation, row by row (9 values).
        p: Projection matrix, row by row (12 values, pixels).
    """

    width: int
    height: int
    k: tuple[float, ...]
    d: tuple[float, ...] = ()
    distortion_model: str = ""
    r: tuple[float, ...] = IDENTITY
    p: tuple[float, ...] = (0.0,) * 12

    @classmethod
    def from_focal_length(cls, width: int, height: int, focal_length: float) -> CameraModel:
        """Return an ideal camera that looks through the middle of its image.

        Args:
            width: Columns of the image.
            height: Rows of the image.
            focal_length: Pixels; 0 = unknown, which gives an uncalibrated camera.
        """
        f, cx, cy = focal_length, (width - 1) / 2, (height - 1) / 2
        if f == 0.0:
            return cls(width, height, k=(0.0,) * 9)
        k = (f, 0.0, cx, 0.0, f, cy, 0.0, 0.0, 1.0)
        p = (f, 0.0, cx, 0.0, 0.0, f, cy, 0.0, 0.0, 0.0, 1.0, 0.0)
        return cls(width, height, k, d=(0.0,) * 5, distortion_model="plumb_bob", p=p)

    @property
    def is_calibrated(self) -> bool:
        """Whether the intrinsics are known: ``CameraInfo`` marks unknown ones by K[0] = 0.

        Those that no lens has, as of a calibration that failed (NaN, or 0 for one axis), are not.
        """
        return self.k[0] > 0.0 and self.k[4] > 0.0 and all(map(math.isfinite, self.k))

    @property
    def is_distorted(self) -> bool:
        """Whether straight lines come out bent in its raw images."""
        return any(value != 0.0 for value in self.d)

    def crop(self, left: int, top: int, width: int, height: int) -> CameraModel:
        """Return the model of a region of the image; pixels of the full image."""
        fx, skew, cx, _, fy, cy, *_ = self.k
        k = (fx, skew, cx - left, 0.0, fy, cy - top, 0.0, 0.0, 1.0)
        p = list(self.p)
        p[2], p[6] = p[2] - left, p[6] - top
        return dataclasses.replace(self, width=width, height=height, k=k, p=tuple(p))

    def rectified(self) -> CameraModel:
        """Return the model of its rectified images, which ``p`` describes, not ``k``.

        The same where ``p`` is not given.
        """
        fx, skew, cx, _, _, fy, cy, *_ = self.p
        k = (fx, skew, cx, 0.0, fy, cy, 0.0, 0.0, 1.0)
        if fx == 0.0:
            return self
        return dataclasses.replace(self, k=k, d=(0.0,) * len(self.d), r=IDENTITY)

    def has_shape_of(self, width: int, height: int) -> bool:
        """Return whether images of a size have its aspect ratio; drivers round sizes a little."""
        return abs(width * self.height - height * self.width) <= _SAME_SHAPE * height * self.width

    def scale_to(self, width: int, height: int) -> CameraModel:
        """Return the model of the same view resized to ``width`` by ``height`` pixels."""
        if (width, height) == (self.width, self.height) or not self.width or not self.height:
            return dataclasses.replace(self, width=width, height=height)
        sx, sy = width / self.width, height / self.height
        fx, skew, cx, _, fy, cy, *_ = self.k
        # Pixel centres are at whole numbers, so that resizing keeps the outer edge at -0.5.
        cx, cy = (cx + 0.5) * sx - 0.5, (cy + 0.5) * sy - 0.5
        p = list(self.p)
        p[0], p[1], p[2], p[3] = p[0] * sx, p[1] * sx, (p[2] + 0.5) * sx - 0.5, p[3] * sx
        p[5], p[6], p[7] = p[5] * sy, (p[6] + 0.5) * sy - 0.5, p[7] * sy
        k = (fx * sx, skew * sx, cx, 0.0, fy * sy, cy, 0.0, 0.0, 1.0)
        return dataclasses.replace(self, width=width, height=height, k=k, p=tuple(p))

    @property
    def focal_length(self) -> float:
        """Horizontal focal length in pixels."""
        return self.k[0]

    def back_project(self, u: float, v: float, depth: float) -> Point:
        """Return the point seen at a pixel.

        Args:
            u: Column, pixels.
            v: Row, pixels.
            depth: Metres along the camera's Z axis.

        Returns:
            x, y, z in metres in the optical frame (x right, y down, z forward); NaN where
            ``depth`` is. Lens distortion is not undone.
        """
        fx, _, cx, _, fy, cy, *_ = self.k
        return ((u - cx) / fx * depth, (v - cy) / fy * depth, depth)

    def extent(self, width: float, height: float, depth: float) -> tuple[float, float]:
        """Return width and height in metres of ``width`` by ``height`` pixels at ``depth``."""
        return (width / self.k[0] * depth, height / self.k[4] * depth)


def focal_length_from_fov(width: int, horizontal_fov_deg: float) -> float:
    """Return the focal length in pixels of a lens.

    Args:
        width: Columns of the image.
        horizontal_fov_deg: Full horizontal field of view, degrees, between 0 and 180.

    Raises:
        ValueError: If the field of view is not between 0 and 180 degrees.
    """
    # Not depthlab_core's: importing that package loads PyTorch, which a player does without.
    if not 0.0 < horizontal_fov_deg < 180.0:
        raise ValueError(
            f"got a field of view of {horizontal_fov_deg} degrees, expected 0 to 180, exclusive"
        )
    return width / (2.0 * math.tan(math.radians(horizontal_fov_deg) / 2.0))
