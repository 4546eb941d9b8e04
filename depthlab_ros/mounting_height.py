# SPDX-License-Identifier: Apache-2.0
"""How high a camera is mounted, as TF knows it; ``tf2_ros`` is only in ROS installations."""

from __future__ import annotations

import math

from rclpy.node import Node
from rclpy.time import Time

try:
    import tf2_ros
except ImportError:
    HAS_TF = False
else:
    HAS_TF = True

MISSING = (
    "the parameter ground_frame needs tf2_ros, which is not installed: set camera_height instead"
)


class MountingHeight:
    """Looks up the height of cameras over a frame that lies on the ground.

    Args:
        node: Listens to /tf and /tf_static while this lives.
        ground_frame: Whose z axis points up from the ground, such as ``base_footprint``.
    """

    def __init__(self, node: Node, ground_frame: str) -> None:
        self._node = node
        self._ground_frame = ground_frame
        self._buffer = tf2_ros.Buffer(node=node)
        self._listener = tf2_ros.TransformListener(self._buffer, node)

    def of(self, camera_frame: str) -> float | None:
        """Return a camera frame's height in metres, the latest that is known, or None."""
        try:
            transform = self._buffer.lookup_transform(self._ground_frame, camera_frame, Time())
        except tf2_ros.TransformException as error:
            self._node.get_logger().warning(
                f"no height of {camera_frame!r} over {self._ground_frame!r} from TF, "
                f"depth stays as the network gives it: {error}",
                throttle_duration_sec=30.0,
            )
            return None
        height = float(transform.transform.translation.z)
        if height > 0.0 and math.isfinite(height):
            return height
        self._node.get_logger().warning(
            f"TF: {camera_frame!r} is {height:.2f} m over {self._ground_frame!r}, expected more "
            "than 0; depth stays as the network gives it",
            throttle_duration_sec=30.0,
        )
        return None

    def close(self) -> None:
        """Stop listening."""
        self._listener.unregister()
        # A buffer leaves these with the node, whose clock would then call what is long gone. Not
        # every version of tf2_ros has both.
        service = getattr(self._buffer, "srv", None)
        if service is not None:
            self._node.destroy_service(service)
        jumps = getattr(self._buffer, "jump_handle", None)
        if jumps is not None:
            jumps.unregister()
