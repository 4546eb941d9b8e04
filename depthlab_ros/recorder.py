# SPDX-License-Identifier: Apache-2.0
"""The demo's own ROS node: brings ``depthlab_node`` up and records its topics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from depthlab_msgs.msg import SegmentArray
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

from depthlab_ros.comparison import Comparison
from depthlab_ros.conversions import stamp_to_ns
from depthlab_ros.image_bridge import image_from_msg
from depthlab_ros.recording import Recording
from depthlab_ros.truth import DEPTH_TOPIC, PANOPTIC_TOPIC, map_from_msg

# Deep enough that drawing out a pause of this process loses nothing.
RECORD_QOS = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST, depth=200
)


class Recorder(Node):
    """Feeds a ``Recording`` from the topics of camera and node.

    Args:
        recording: Where everything goes.
        comparison: Where predictions and truth go; the video is then made from it, later. Without
            one, no truth is expected, and the video is made while frames arrive.
        kwargs: Passed to ``rclpy.node.Node``.
    """

    def __init__(
        self, recording: Recording, comparison: Comparison | None = None, **kwargs: Any
    ) -> None:
        super().__init__("demo_recorder", **kwargs)
        self._recording = recording
        self._comparison = comparison
        self._maps = [] if comparison is None else self._subscribe_to_maps(comparison)
        self._change_state = self.create_client(ChangeState, "depthlab_node/change_state")
        self._get_state = self.create_client(GetState, "depthlab_node/get_state")
        self._segments = self.create_subscription(
            SegmentArray, "segments", self._on_segments, RECORD_QOS
        )
        self._annotated = self.create_subscription(
            Image, "image_annotated", self._on_annotated, RECORD_QOS
        )
        self._cameras = self.create_subscription(
            CameraInfo, "camera_info", self._on_camera_info, RECORD_QOS
        )
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def node_is_there(self) -> bool:
        """Return whether the services of ``depthlab_node`` are known here."""
        return all(c.service_is_ready() for c in (self._change_state, self._get_state))

    def request_state(self) -> Any:
        """Ask for the node's state; returns the future of the answer."""
        return self._get_state.call_async(GetState.Request())

    def request_configure(self) -> Any:
        """Ask the node to load its model; returns the future of the answer."""
        return self._request(Transition.TRANSITION_CONFIGURE)

    def request_activate(self) -> Any:
        """Ask the node to take images; returns the future of the answer."""
        return self._request(Transition.TRANSITION_ACTIVATE)

    def player_is_there(self) -> bool:
        """Return whether something publishes images."""
        return bool(self.count_publishers("image_raw") > 0)

    def is_matched(self) -> bool:
        """Return whether the outputs of the node are connected to this recorder."""
        outputs = (self._segments, self._annotated, *self._maps)
        return all(output.get_publisher_count() > 0 for output in outputs)

    def _request(self, transition: int) -> Any:
        return self._change_state.call_async(
            ChangeState.Request(transition=Transition(id=transition))
        )

    def _subscribe_to_maps(self, comparison: Comparison) -> list[Any]:
        """Subscribe to all that is compared; returns the subscriptions to the node's topics."""

        def subscribe(topic: str, name: str, decode: Callable[[Image], Any]) -> Any:
            def take(msg: Image) -> None:
                comparison.on_map(name, decode(msg), stamp_to_ns(msg.header.stamp))

            return self.create_subscription(Image, topic, take, RECORD_QOS)

        # Before camera_info: the player waits for that one, and endpoints are found in order.
        subscribe("image_raw", "image", image_from_msg)
        subscribe(PANOPTIC_TOPIC, "true_panoptic", map_from_msg)
        subscribe(DEPTH_TOPIC, "true_depth", map_from_msg)
        return [
            subscribe("panoptic/id", "ids", map_from_msg),
            subscribe("depth/image", "depth", map_from_msg),
        ]

    def _on_camera_info(self, msg: CameraInfo) -> None:
        self._recording.on_camera(stamp_to_ns(msg.header.stamp))

    def _on_segments(self, msg: SegmentArray, info: dict[str, int]) -> None:
        # When it arrived at this process, which may be busy with the video just then.
        self._recording.on_segments(msg, received_ns=info["received_timestamp"])
        if self._comparison is not None:
            self._comparison.on_segments(msg, stamp_to_ns(msg.header.stamp))

    def _on_annotated(self, msg: Image) -> None:
        image, stamp_ns = image_from_msg(msg), stamp_to_ns(msg.header.stamp)
        if self._comparison is None:
            self._recording.on_annotated(image, stamp_ns)
        else:
            self._comparison.on_map("annotated", image, stamp_ns)

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name.endswith("depthlab_node") and status.hardware_id:
                self._recording.device = status.hardware_id
