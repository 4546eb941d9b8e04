# SPDX-License-Identifier: Apache-2.0
"""One camera of the node: its topics in and out, its calibration and its health."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depthlab_ros.calibration_buffer import CalibrationBuffer
from depthlab_ros.camera_model import CameraModel
from depthlab_ros.continuity import Continuity
from depthlab_ros.conversions import camera_model_from_msg, stamp_to_ns
from depthlab_ros.frame import Frame, ImageMsg
from depthlab_ros.health import Health, Surroundings
from depthlab_ros.image_subscription import (
    ImageSubscription,
    incompatible_publishers,
    subscribe,
)
from depthlab_ros.image_transport import shows_rectified
from depthlab_ros.outputs import Outputs
from depthlab_ros.parameters import NodeParameters
from depthlab_ros.rate_limit import RateLimit

CAMERA_INFO_QOS = QoSProfile(
    reliability=ReliabilityPolicy.BEST_EFFORT, history=HistoryPolicy.KEEP_LAST, depth=10
)


class Camera:
    """What the node keeps of one camera; cameras share nothing but the model.

    Attributes:
        name: In front of its topics; empty for the only camera of a node.
        logger: Says the camera's name, and throttles what is said of it alone.
        newest_stamp_ns: Of the image that came last, nanoseconds; 0 before the first.

    Args:
        node: Owner of the topics.
        name: In front of every topic, with a slash; empty for the only camera of a node.
        settings: Gives the parameters in force.
    """

    def __init__(
        self, node: LifecycleNode, name: str, settings: Callable[[], NodeParameters]
    ) -> None:
        self.name = name
        self.logger = node.get_logger().get_child(name) if name else node.get_logger()
        self.outputs = Outputs(node, self._topic(""), self.logger)
        self.calibrations = CalibrationBuffer()
        self.continuity = Continuity()
        self.health = Health()
        self._node = node
        self._settings = settings
        self._deliver: Callable[[Camera, Frame], None]
        self._limit: RateLimit
        self.newest_stamp_ns = 0
        self._image_topic = ""
        self._is_rectified = False
        self._images: ImageSubscription | None = None
        self._camera_info: Any = None

    def start(self, deliver: Callable[[Camera, Frame], None]) -> None:
        """Subscribe; ``deliver`` gets every image that is to be worked on."""
        self.health = Health()
        self.reset()  # the last calibration stays: it may have been the only one to come
        self._limit = RateLimit()
        self._deliver = deliver
        compressed = self._settings().image_transport == "compressed"
        topic = self._topic("image_raw/compressed" if compressed else "image_raw")
        kind = CompressedImage if compressed else Image
        self._image_topic = self._node.resolve_topic_name(topic)
        self._is_rectified = shows_rectified(self._image_topic)
        self._camera_info = subscribe(
            self._node,
            CameraInfo,
            self._topic("camera_info"),
            self._on_camera_info,
            CAMERA_INFO_QOS,
        )
        self._images = ImageSubscription(
            self._node, kind, topic, self._on_image, self.health.on_lost
        )
        self.logger.info(f"active, waiting for images on {self._image_topic}")

    def stop(self) -> None:
        """Unsubscribe."""
        if self._images is not None:
            self._images.destroy()
        if self._camera_info is not None:  # even if the images could not be subscribed to
            self._node.destroy_subscription(self._camera_info)
        self._images = self._camera_info = None

    def reset(self) -> None:
        """Forget what belongs to the time before, as when a clock or a recording jumps back."""
        self.calibrations.forget_all_but_last()
        self.continuity = self.continuity.successor()
        self.newest_stamp_ns = 0

    def calibration_of(self, stamp_ns: int, width: int, height: int) -> CameraModel | None:
        """Return the calibration for an image: by parameter, else by CameraInfo, else none."""
        focal_length = self._settings().focal_length
        if focal_length > 0.0:
            return CameraModel.from_focal_length(width, height, focal_length)
        camera = self.calibrations.find(stamp_ns)
        if camera is None:
            return None
        if self._is_rectified:
            camera = camera.rectified()
        if not camera.is_calibrated:
            return None
        if not camera.has_shape_of(width, height):
            self.logger.warning(
                f"camera_info is for images of {camera.width}x{camera.height}, but they have "
                f"{width}x{height}, another aspect ratio: positions are wrong unless the driver "
                "stretches its images",
                once=True,
            )
        return camera.scale_to(width, height)

    def mend_losses(self) -> None:
        """Ask for reliable images where best effort loses them; to be called now and then."""
        if self._images is not None:
            settings = self._settings()
            self.health.on_publishers(len(self._images.publishers()))
            loss = self.health.loss() if settings.enable else ""
            self._images.mend(loss, allowed=settings.reliable_on_loss)

    def surroundings(self, busy_stage: str, busy_s: float) -> Surroundings:
        """Return what its health depends on beside the frames."""
        inputs = [] if self._images is None else [self._camera_info, self._images.subscription]
        return Surroundings(
            topic=self._image_topic,
            camera_info_topic=self._node.resolve_topic_name(self._topic("camera_info")),
            incompatible=tuple(
                text
                for subscription in inputs
                for text in incompatible_publishers(self._node, subscription)
            ),
            enabled=self._settings().enable,
            busy_stage=busy_stage,
            busy_s=busy_s,
        )

    def values(self) -> dict[str, str]:
        """Return all there is to tell of it, by name."""
        asked = {} if self._images is None else {"input_reliability": self._images.reliability}
        return asked | self.health.values() | self.continuity.values()

    def _topic(self, name: str) -> str:
        return f"{self.name}/{name}" if self.name else name

    def _on_image(self, msg: ImageMsg) -> None:
        arrived = time.perf_counter()
        self.health.on_received()
        settings = self._settings()
        if not settings.enable:
            return
        stamp_ns = stamp_to_ns(msg.header.stamp)
        if stamp_ns < self.newest_stamp_ns:
            self.reset()  # a recording began again
        self.newest_stamp_ns = stamp_ns
        if self._limit.admits(time.monotonic(), settings.max_rate):
            self._deliver(self, Frame(msg, arrived, self.continuity))
        else:
            self.health.on_skipped()

    def _on_camera_info(self, msg: CameraInfo) -> None:
        self.calibrations.add(msg)
        camera = camera_model_from_msg(msg)
        if camera.is_distorted and not self._is_rectified:
            self.logger.info(
                f"the lens is distorted ({camera.distortion_model}); {self._image_topic} is used "
                "as it is, so positions near its edges are off: rectified images (image_rect) "
                "have none of that",
                once=True,
            )
