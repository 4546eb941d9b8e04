# SPDX-License-Identifier: Apache-2.0
"""The coloured cloud of a prediction, without ROS types."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from depthlab_ros.camera_model import CameraModel

# x, y, z and rgb as RViz and PCL read them: colour is 0x00RRGGBB in the bits of a float. In this
# byte order on every machine.
POINT_DTYPE = np.dtype(
    {
        "names": ["x", "y", "z", "rgb", "segment_id"],
        "formats": ["<f4", "<f4", "<f4", "<u4", "<u2"],
        "itemsize": 20,
    }
)


def point_cloud(
    depth: NDArray[np.float32],
    image: NDArray[np.uint8],
    id_map: NDArray[np.uint16],
    camera: CameraModel,
    stride: int,
) -> NDArray[np.void]:
    """Back-project every ``stride``-th pixel of every ``stride``-th row.

    Args:
        depth: float32 ``(H, W)``, metres along Z; NaN or not positive = unknown.
        image: RGB, uint8 ``(H, W, 3)``.
        id_map: Segment ids, uint16 ``(H, W)``, 0 = none.
        camera: Calibration at this size; lens distortion is not undone.
        stride: Pixels from one point to the next, 1 or more; the first is half a stride in.

    Returns:
        ``POINT_DTYPE`` ``(rows, columns)``, organised as the image is. x, y, z in metres in the
        optical frame (x right, y down, z forward), NaN where depth is unknown.
    """
    pixels = (slice(stride // 2, None, stride), slice(stride // 2, None, stride))
    z = np.where(depth[pixels] > 0.0, depth[pixels], np.float32(np.nan))
    x_per_z, y_per_z = _rays(camera, stride)
    # Zeros, for the two bytes that no field covers go out as well.
    points = np.zeros(z.shape, POINT_DTYPE)
    points["x"] = x_per_z * z
    points["y"] = y_per_z * z
    points["z"] = z
    rgb = image[pixels].astype(np.uint32)
    points["rgb"] = rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
    points["segment_id"] = id_map[pixels]
    return points


@lru_cache(maxsize=16)  # a camera's rays stay the same from frame to frame
def _rays(camera: CameraModel, stride: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    fx, _, cx, _, fy, cy, *_ = camera.k
    u = np.arange(stride // 2, camera.width, stride)
    v = np.arange(stride // 2, camera.height, stride)[:, None]
    return ((u - cx) / fx).astype(np.float32), ((v - cy) / fy).astype(np.float32)
