# SPDX-License-Identifier: Apache-2.0
"""ROS traffic of the tests stays on this machine and among the processes of one test run."""

from __future__ import annotations

import array
import gc
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import domain_coordinator
import numpy as np
import pytest
import rclpy
from builtin_interfaces.msg import Time
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
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from depthlab_core import CITYSCAPES, Prediction, Segment
from depthlab_core.config import PostprocessConfig
from depthlab_ros.node import DepthLabNode

NAN = float("nan")
# Ends tests that hang; no test is about speed, and machines may be slow.
TIMEOUT_S = 300.0
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

    def __init__(self) -> None:
        # Closed, it holds every frame back.
        self.gate = threading.Event()
        self.gate.set()
        self.images: list[np.ndarray] = []
        self.batches: list[int] = []
        self.warmed_up: list[tuple[int, int, int]] = []
        self.focal_lengths: list[float | None] = []
        self.failure: Exception | None = None
        self.postprocess = PostprocessConfig()
        self.timings: dict[str, float] = {}

    def warm_up(self, height: int, width: int, images: int = 1) -> None:
        self.warmed_up.append((height, width, images))

    def predict_batch(
        self, images: Sequence[np.ndarray], focal_lengths: Sequence[float | None]
    ) -> list[Prediction]:
        self.batches.append(len(images))
        return [self.predict(*pair) for pair in zip(images, focal_lengths, strict=True)]

    def predict(self, image: np.ndarray, focal_length: float | None = None) -> Prediction:
        self.images.append(image.copy())
        self.focal_lengths.append(focal_length)
        if self.failure is not None:
            raise self.failure
        assert self.gate.wait(TIMEOUT_S)
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

    @staticmethod
    def image(number: int, height: int = 48, width: int = 64, encoding: str = "rgb8") -> Image:
        """Return an image whose stamp and pixels are ``number``."""
        msg = Image(height=height, width=width, encoding=encoding, step=width * 3)
        msg.header = Header(frame_id="camera", stamp=Time(sec=number))
        msg.data = array.array("B", np.full((height, width, 3), number, np.uint8).tobytes())
        return msg

    def send(self, number: int, *form: Any, **more: Any) -> None:
        """Publish ``image(number, ...)``."""
        self.image_pub.publish(self.image(number, *form, **more))

    def stamps(self) -> list[int]:
        """Return the numbers of the images that segments have come of."""
        return [msg.header.stamp.sec for msg in self.received["segments"]]

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


class Participants:
    """Two DDS participants for all tests of a run: the robot's, and that of the node under test.

    Fast DDS may take 3 s to find a participant that is made after others have gone, and 20 s to
    forget one whose farewell was lost. Topics and services of participants that know each other
    come and go reliably.
    """

    def __init__(self, stack: ExitStack) -> None:
        self.robot, self.node = Context(), Context()
        self._keepers = []
        for context in (self.robot, self.node):
            rclpy.init(context=context)
            stack.callback(rclpy.try_shutdown, context=context)
            keeper = Node("keeper", context=context, enable_rosout=False)
            stack.callback(keeper.destroy_node)
            self._keepers.append(keeper)
        wait_until(lambda: all(len(k.get_node_names()) == 2 for k in self._keepers))
        self._own = self._seen()

    def wait_until_clean(self) -> None:
        """Wait until nobody hears any more of what the last test has made."""

        def is_clean() -> bool:
            # A node whose constructor has failed is not destroyed but by the garbage collector.
            gc.collect()
            return self._seen() == self._own

        wait_until(is_clean, what=lambda: f"left behind: {sorted(self._seen() - self._own)}")

    def _seen(self) -> set[str]:
        names = {f"node {name}" for k in self._keepers for name in k.get_node_names()}
        for keeper in self._keepers:
            names |= {name for name, _ in keeper.get_topic_names_and_types(no_demangle=True)}
        return names


class RosBench:
    """Runs nodes in threads of their own and waits for what they do."""

    def __init__(self, participants: Participants, stack: ExitStack) -> None:
        self._participants = participants
        self._stack = stack
        self.peer = self._spin(Peer, participants.robot)

    def spin(self, make: Callable[..., Node], **kwargs: Any) -> Any:
        return self._spin(make, self._participants.node, **kwargs)

    def _spin(
        self,
        make: Callable[..., Node],
        context: Context,
        parameter_overrides: Sequence[Parameter] = (),
        **kwargs: Any,
    ) -> Any:
        # rclpy never takes that service back.
        quiet = Parameter("start_type_description_service", value=False)
        node = make(context=context, parameter_overrides=[*parameter_overrides, quiet], **kwargs)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        thread = threading.Thread(target=executor.spin, daemon=True)
        thread.start()

        def stop() -> None:
            executor.shutdown(timeout_sec=TIMEOUT_S)
            thread.join(TIMEOUT_S)
            node.destroy_node()

        self._stack.callback(stop)
        return node

    def node(self, model: StubModel, *, start: bool = True, **parameters: Any) -> DepthLabNode:
        node = self.spin(
            DepthLabNode,
            load_model=lambda *_: model,
            parameter_overrides=overrides(**parameters),
        )
        if start:
            node.start()
            self.connect(node)
        return node

    def connect(self, node: DepthLabNode) -> None:
        """Wait until all endpoints of peer and node on common topics know each other."""
        self._match(self.peer.publishers, node.subscriptions)
        self._match(node.publishers, self.peer.subscriptions)

    def _match(self, publishers: Iterable[Any], subscriptions: Iterable[Any]) -> None:
        publishers, subscriptions = list(publishers), list(subscriptions)
        common = {p.topic_name for p in publishers} & {s.topic_name for s in subscriptions}
        senders = [p for p in publishers if p.topic_name in common]
        receivers = [s for s in subscriptions if s.topic_name in common]
        wait_until(lambda: all(sender.get_subscription_count() for sender in senders))
        wait_until(lambda: all(receiver.get_publisher_count() for receiver in receivers))

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


@pytest.fixture(scope="session")
def participants(ros_domain_id: int) -> Iterator[Participants]:
    with ExitStack() as stack:
        yield Participants(stack)


@pytest.fixture
def ros(participants: Participants) -> Iterator[RosBench]:
    with ExitStack() as stack:
        yield RosBench(participants, stack)
    participants.wait_until_clean()


@pytest.fixture
def stub() -> Iterator[StubModel]:
    model = StubModel()
    yield model
    model.gate.set()


@pytest.fixture
def until() -> Callable[..., None]:
    return wait_until


@pytest.fixture
def parameter_overrides() -> Callable[..., list[Parameter]]:
    return overrides


def overrides(**values: Any) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in values.items()]


def wait_until(
    is_so: Callable[[], bool],
    timeout: float = TIMEOUT_S,
    what: Callable[[], str] = lambda: "timed out",
) -> None:
    deadline = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < deadline, what()
        time.sleep(0.01)
