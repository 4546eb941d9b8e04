# SPDX-License-Identifier: Apache-2.0
"""ROS traffic of the tests stays on this machine and among the processes of one test run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import domain_coordinator
import numpy as np
import pytest
import rclpy
from depthlab_msgs.msg import SegmentArray
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from visualization_msgs.msg import MarkerArray

from depthlab_core import CITYSCAPES, Prediction, Segment
from depthlab_core.config import PostprocessConfig
from depthlab_ros.node import DepthLabNode

NAN = float("nan")
RELIABLE = QoSProfile(depth=50)
OUTPUTS = {
    "segments": SegmentArray,
    "image_annotated": Image,
    "depth/image": Image,
    "panoptic/id": Image,
    "semantic": Image,
    "depth/camera_info": CameraInfo,
    "points": PointCloud2,
    "markers": MarkerArray,
    "image_annotated/compressed": CompressedImage,
}


@pytest.fixture(scope="session", autouse=True)
def ros_domain_id() -> Iterator[int]:
    """Claim a domain id that no other test run on this machine holds; child processes get it."""
    with domain_coordinator.domain_id() as domain_id, pytest.MonkeyPatch.context() as environment:
        environment.setenv("ROS_DOMAIN_ID", str(domain_id))
        environment.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        yield domain_id


class StubModel:
    """A model whose every output follows from the image by a rule that a test can repeat.

    Red below 128 is road, the rest car number 1. Depth is green in metres, NaN where blue is 255.
    """

    name = "stub"
    device = "cpu"
    labels = CITYSCAPES

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.images: list[np.ndarray] = []
        self.focal_lengths: list[float | None] = []
        self.failure: Exception | None = None
        self.postprocess = PostprocessConfig()
        self.timings: dict[str, float] = {}

    def predict(self, image: np.ndarray, focal_length: float | None = None) -> Prediction:
        self.images.append(image.copy())
        self.focal_lengths.append(focal_length)
        if self.failure is not None:
            raise self.failure
        time.sleep(self.delay)
        is_car = image[..., 0] >= 128
        depth = np.where(image[..., 2] == 255, NAN, image[..., 1]).astype(np.float32)
        return Prediction(
            panoptic_map=np.where(is_car, 13001, 0).astype(np.int32),
            semantic_map=np.where(is_car, 13, 0).astype(np.uint8),
            id_map=np.where(is_car, 2, 1).astype(np.uint16),
            depth=depth,
            segments=list(self.segments),
            focal_length=focal_length or 500.0,
            focal_length_assumed=focal_length is None,
            timings=self.timings,
        )

    segments = (
        Segment(
            id=1,
            panoptic_id=0,
            category_id=0,
            category_name="road",
            is_thing=False,
            score=0.75,
            area=24,
            bbox=(0, 0, 4, 6),
            centroid=(1.5, 2.5),
            depth_mean=NAN,
            depth_median=NAN,
            depth_std=NAN,
            depth_p05=NAN,
            depth_p95=NAN,
            depth_valid_ratio=0.0,
        ),
        Segment(
            id=2,
            panoptic_id=13001,
            category_id=13,
            category_name="car",
            is_thing=True,
            score=0.5,
            area=20,
            bbox=(4, 1, 4, 5),
            centroid=(5.5, 3.0),
            depth_mean=12.5,
            depth_median=12.0,
            depth_std=0.25,
            depth_p05=11.0,
            depth_p95=14.0,
            depth_valid_ratio=0.875,
        ),
    )


class Peer(Node):
    """The rest of the robot: publishes images and keeps all that the node answers.

    It has a context of its own, so that it is another DDS participant than the node.
    """

    def __init__(self, context: Context, **kwargs: Any) -> None:
        super().__init__("peer", context=context, **kwargs)
        self.received: dict[str, list[Any]] = {name: [] for name in OUTPUTS}
        self.diagnostics: list[dict[str, str]] = []
        self.image_pub = self.create_publisher(Image, "image_raw", RELIABLE)
        self.compressed_pub = self.create_publisher(
            CompressedImage, "image_raw/compressed", RELIABLE
        )
        self.camera_info_pub = self.create_publisher(CameraInfo, "camera_info", RELIABLE)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, RELIABLE)
        self.listeners: dict[str, Any] = {}
        self.change_state = self.create_client(ChangeState, "depthlab_node/change_state")
        self.get_state = self.create_client(GetState, "depthlab_node/get_state")

    def listen(self, *names: str) -> None:
        for name in names or OUTPUTS:
            self.listeners[name] = self.create_subscription(
                OUTPUTS[name], name, self.received[name].append, RELIABLE
            )

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            values = {value.key: value.value for value in status.values}
            values |= {"level": status.level, "message": status.message, "name": status.name}
            self.diagnostics.append(values)


class RosBench:
    """Runs nodes in threads of their own and waits for what they do."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.peer = self.spin(Peer)

    def spin(self, make: Callable[..., Node], **kwargs: Any) -> Any:
        context = Context()
        rclpy.init(context=context)
        self._stack.callback(rclpy.try_shutdown, context=context)
        node = make(context=context, **kwargs)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        thread = threading.Thread(target=executor.spin, daemon=True)
        thread.start()

        def stop() -> None:
            executor.shutdown(timeout_sec=5.0)
            thread.join(5.0)
            node.destroy_node()

        self._stack.callback(stop)
        return node

    def node(self, model: StubModel, *, start: bool = True, **parameters: Any) -> DepthLabNode:
        node = self.spin(
            DepthLabNode,
            load_model=lambda name, device: model,
            parameter_overrides=overrides(**parameters),
        )
        if start:
            node.start()
            self.connect(node)
        return node

    def connect(self, node: DepthLabNode) -> None:
        """Wait until peer and active node are connected; either side may know of it first."""
        peer = self.peer
        inputs = [peer.image_pub, peer.compressed_pub]
        wait_until(lambda: any(publisher.get_subscription_count() for publisher in inputs))
        wait_until(lambda: peer.camera_info_pub.get_subscription_count() > 0)
        wait_until(lambda: all(map(node.count_publishers, ("camera_info", "image_raw"))))
        listeners = peer.listeners
        wait_until(lambda: all(listener.get_publisher_count() for listener in listeners.values()))
        wait_until(lambda: all(map(node.count_subscribers, listeners)))
        time.sleep(0.1)

    def state(self) -> str:
        """Ask for the node's lifecycle state, again until the node knows of this client."""
        answers = []

        def answered() -> bool:
            if not answers or time.monotonic() - answers[-1][0] > 1.0:
                asked = self.peer.get_state.call_async(GetState.Request())
                answers.append((time.monotonic(), asked))
            return any(answer.done() for _, answer in answers)

        wait_until(self.peer.get_state.service_is_ready)
        wait_until(answered)
        done = [answer for _, answer in answers if answer.done()]
        return done[-1].result().current_state.label

    def change_state(self, transition: int) -> bool:
        """Request a transition; this client is older than the other one, so also known by then."""
        self.state()
        wait_until(self.peer.change_state.service_is_ready)
        request = ChangeState.Request(transition=Transition(id=transition))
        answer = self.peer.change_state.call_async(request)
        wait_until(answer.done)
        return answer.result().success


@pytest.fixture
def ros() -> Iterator[RosBench]:
    with ExitStack() as stack:
        yield RosBench(stack)


@pytest.fixture
def stub() -> StubModel:
    return StubModel()


@pytest.fixture
def slow_stub() -> StubModel:
    return StubModel(delay=0.25)


@pytest.fixture
def until() -> Callable[..., None]:
    return wait_until


@pytest.fixture
def parameter_overrides() -> Callable[..., list[Parameter]]:
    return overrides


def overrides(**values: Any) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in values.items()]


def wait_until(is_so: Callable[[], bool], timeout: float = 60.0) -> None:
    # A participant whose farewell is lost stays known for Fast DDS's lease of 20 s, and a service
    # that seems to be offered one and a half times is not ready until then.
    deadline = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.01)
