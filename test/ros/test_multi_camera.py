# SPDX-License-Identifier: Apache-2.0
"""Several cameras in one node: one model, and nothing else in common."""

from __future__ import annotations

import array
from functools import partial

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from depthlab_msgs.msg import SegmentArray
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from depthlab_ros.parameter_declaration import ParameterError


class RemoteCamera:
    """Publishes as a camera of that name, and keeps the segments that come back."""

    def __init__(self, peer, name: str) -> None:
        self.name = name
        self.segments: list[SegmentArray] = []
        self._images = peer.create_publisher(Image, f"{name}/image_raw", 50)
        self._infos = peer.create_publisher(CameraInfo, f"{name}/camera_info", 50)
        peer.create_subscription(SegmentArray, f"{name}/segments", self.segments.append, 50)

    def header(self, stamp: int) -> Header:
        return Header(stamp=Time(sec=stamp), frame_id=f"{self.name}_optical")

    def publish_info(
        self, stamp: int, focal_length: float, distortion: tuple[float, ...] = ()
    ) -> None:
        k = [focal_length, 0.0, 31.5, 0.0, focal_length, 23.5, 0.0, 0.0, 1.0]
        info = CameraInfo(header=self.header(stamp), width=64, height=48, k=k, d=distortion)
        info.distortion_model = "plumb_bob"
        self._infos.publish(info)

    def publish(self, stamp: int, encoding: str = "rgb8") -> None:
        image = np.full((48, 64, 3), stamp % 128, np.uint8)
        msg = Image(header=self.header(stamp), height=48, width=64, encoding=encoding, step=192)
        msg.data = array.array("B", image.tobytes())
        self._images.publish(msg)

    @property
    def stamps(self) -> list[int]:
        return [msg.header.stamp.sec for msg in self.segments]


@pytest.fixture
def two(ros):
    def make(model, **parameters):
        front, rear = RemoteCamera(ros.peer, "front"), RemoteCamera(ros.peer, "side/rear")
        node = ros.node(model, start=False, cameras=["front", "side/rear"], **parameters)
        node.start()
        ros.connect(node)
        return node, front, rear

    return make


def test_each_camera_has_its_topics_headers_and_calibration(ros, stub, until, two):
    node, front, rear = two(stub)
    front.publish_info(1, 40.0)
    rear.publish_info(1, 60.0)
    until(lambda: all(camera.calibrations.find(0) for camera in node.cameras))
    front.publish(1)
    until(lambda: front.stamps == [1])
    rear.publish(2)
    until(lambda: rear.stamps == [2])
    assert stub.focal_lengths == [40.0, 60.0]
    assert front.segments[0].header == front.header(1)
    assert rear.segments[0].header == rear.header(2)
    assert front.stamps == [1]


def test_each_camera_has_its_diagnostics(ros, stub, until, two):
    _, front, _ = two(stub)
    front.publish(1)

    def told(name: str, frames: str) -> bool:
        return any(
            d["name"] == f"/depthlab_node: {name}" and d.get("frames_published") == frames
            for d in ros.peer.diagnostics
        )

    until(lambda: told("front", "1") and told("side/rear", "0"))
    assert not told("side/rear", "1")
    until(
        lambda: any(
            "no image on /side/rear/image_raw" in d["message"] for d in ros.peer.diagnostics
        )
    )


def test_a_fast_camera_does_not_starve_a_slow_one(stub, until, two):
    node, front, rear = two(stub)
    stub.gate.clear()
    front.publish(1)
    until(lambda: len(stub.images) == 1)
    front.publish(2)
    until(lambda: node.cameras[0].newest_stamp_ns == 2 * 10**9)
    rear.publish(100)
    until(lambda: node.cameras[1].newest_stamp_ns == 100 * 10**9)
    for number in range(3, 61):
        front.publish(number)
    until(lambda: node.cameras[0].newest_stamp_ns == 60 * 10**9)
    stub.gate.set()
    until(lambda: (front.stamps, rear.stamps) == ([1, 60], [100]))
    # The front waited first; had it come last again, the rear would have been next.
    assert [int(image[0, 0, 0]) for image in stub.images] == [1, 60, 100]


def test_a_jump_of_one_camera_leaves_the_other_alone(stub, until, two):
    node, front, rear = two(stub)
    for camera in (front, rear):
        for stamp in (10, 11):
            camera.publish_info(stamp, float(stamp))
    buffers = [camera.calibrations for camera in node.cameras]
    until(lambda: all(b.find(11 * 10**9) and b.find(0).focal_length == 11.0 for b in buffers))
    for count, stamp in enumerate((11, 5), start=1):
        front.publish(stamp)
        until(lambda count=count: len(front.stamps) == count)
    assert [b.find(10 * 10**9).focal_length for b in buffers] == [11.0, 10.0]


def has_come(camera, stamp: int) -> bool:
    return camera.newest_stamp_ns == stamp * 10**9


def wait_for_both(stub, until, node, front, rear) -> None:
    """Let a frame of each camera come while the model is at another one of the front."""
    stub.gate.clear()
    front.publish_info(1, 40.0)
    rear.publish_info(1, 60.0)
    until(lambda: all(camera.calibrations.find(0) for camera in node.cameras))
    front.publish(1)
    until(lambda: len(stub.images) == 1)
    for camera, remote, stamp in ((1, rear, 100), (0, front, 2), (0, front, 3)):
        remote.publish(stamp)
        until(partial(has_come, node.cameras[camera], stamp))
    stub.gate.set()
    until(lambda: (front.stamps, rear.stamps) == ([1, 3], [100]))


@pytest.mark.parametrize(
    ("batch", "device", "expected"),
    [
        ("auto", "cpu", [1, 1, 1]),
        ("auto", "cuda:0", [1, 2]),
        ("on", "cpu", [1, 2]),
        ("off", "cuda:0", [1, 1, 1]),
    ],
)
def test_frames_that_wait_go_through_the_model_together(stub, until, two, batch, device, expected):
    stub.device = device
    node, front, rear = two(stub, batch=batch)
    wait_for_both(stub, until, node, front, rear)
    assert stub.batches == expected
    # The rear has waited longer; the newest of the front's came with it.
    assert [int(image[0, 0, 0]) for image in stub.images] == [1, 100, 3]
    assert stub.focal_lengths == [40.0, 60.0, 40.0]
    assert [msg.header for msg in front.segments] == [front.header(1), front.header(3)]
    assert [msg.header for msg in rear.segments] == [rear.header(100)]
    assert node.cameras[0].health.values()["frames_failed"] == "0"


def test_batches_can_be_switched_on_at_runtime(stub, until, two, parameter_overrides):
    node, front, rear = two(stub, batch="off")
    assert node.set_parameters(parameter_overrides(batch="on"))[0].successful
    wait_for_both(stub, until, node, front, rear)
    assert stub.batches == [1, 2]


def test_a_batch_that_fails_is_followed_by_each_frame_alone(stub, until, two, capfd):
    def predict_batch(images, focal_lengths):
        if len(images) > 1:
            raise RuntimeError("out of memory")
        return stub_predict_batch(images, focal_lengths)

    stub_predict_batch, stub.predict_batch = stub.predict_batch, predict_batch
    node, front, rear = two(stub, batch="on")
    wait_for_both(stub, until, node, front, rear)
    assert [camera.health.failed.total for camera in node.cameras] == [0, 0]
    errors = capfd.readouterr().err
    assert errors.count("2 frames at once failed, now each alone: out of memory") == 1


def test_a_broken_image_costs_its_camera_alone(ros, stub, until, two):
    node, front, rear = two(stub, batch="on")
    stub.gate.clear()
    front.publish(1)
    until(lambda: len(stub.images) == 1)
    front.publish(2, encoding="x-ray")
    until(lambda: node.cameras[0].newest_stamp_ns == 2 * 10**9)
    rear.publish(100)
    until(lambda: node.cameras[1].newest_stamp_ns == 100 * 10**9)
    stub.gate.set()
    until(lambda: rear.stamps == [100])
    until(lambda: [camera.health.failed.total for camera in node.cameras] == [1, 0])
    assert front.stamps == [1]


def test_what_is_said_of_one_camera_names_it_and_hides_nothing_of_another(
    ros, stub, until, two, capfd
):
    node, front, rear = two(stub)
    for camera, remote in zip(node.cameras, (front, rear), strict=True):
        for stamp in (1, 2):
            remote.publish_info(stamp, 40.0, distortion=(0.1, 0.0, 0.0, 0.0, 0.0))
            until(lambda c=camera, s=stamp: (at := c.calibrations.find(0)) and at.is_distorted)
            remote.publish(stamp, encoding="x-ray")
            until(lambda c=camera, s=stamp: c.health.failed.total == s)
    lines = capfd.readouterr().err.splitlines()
    names = ["[depthlab_node.front]:", "[depthlab_node.side/rear]:"]
    assert [line.split()[2] for line in lines if "the lens is distorted" in line] == names
    dropped = [line.split()[2] for line in lines if "frame dropped: got encoding" in line]
    assert sorted(set(dropped)) == names


@pytest.mark.parametrize(
    ("batch", "cameras", "expected"),
    [
        ("on", ["front", "rear"], (480, 640, 2)),
        ("on", list("abcdef"), (480, 640, 4)),
        ("off", ["front", "rear"], (480, 640, 1)),
    ],
)
def test_the_model_is_warmed_up_for_the_batches_that_may_come(ros, stub, batch, cameras, expected):
    node = ros.node(stub, start=False, cameras=cameras, batch=batch, warm_up_size=[480, 640])
    node.start()
    assert stub.warmed_up == [expected]


@pytest.mark.parametrize(
    "names", [["front", "front"], ["front", ""], ["/front"], ["2nd"], ["a b"]]
)
def test_bad_names_are_refused(ros, stub, names):
    with pytest.raises(ParameterError, match="parameter 'cameras': got"):
        ros.node(stub, start=False, cameras=names)


def test_cameras_change_only_while_unconfigured(ros, stub, parameter_overrides):
    node = ros.node(stub)
    [result] = node.set_parameters(parameter_overrides(cameras=["front"]))
    assert not result.successful
    assert "'cameras' can change only while the node is unconfigured" in result.reason


def test_an_override_of_one_camera_is_not_the_others(stub, two):
    reliability = "qos_overrides./front/image_raw.subscription.reliability"
    node, _, _ = two(stub, **{reliability: "reliable"})
    taken = [
        subscription.qos_profile.reliability.name
        for name in ("front", "side/rear")
        for subscription in node.get_subscriptions_info_by_topic(f"/{name}/image_raw")
    ]
    assert taken == ["RELIABLE", "BEST_EFFORT"]
