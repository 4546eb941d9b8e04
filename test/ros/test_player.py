# SPDX-License-Identifier: Apache-2.0
"""``camera_player`` over DDS: what it publishes, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from rclpy.publisher import Publisher
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from depthlab_ros.camera_model import CameraModel
from depthlab_ros.conversions import (
    camera_model_to_msg,
    image_to_msg,
    stamp_from_ns,
    stamp_to_ns,
)
from depthlab_ros.frame_source import SourceError
from depthlab_ros.image_bridge import image_from_msg
from depthlab_ros.parameter_declaration import ParameterError
from depthlab_ros.player import CameraPlayer
from depthlab_ros.sources import open_source
from depthlab_ros.truth import map_from_msg


@pytest.fixture
def folder(tmp_path) -> Path:
    for number in range(1, 6):
        image = np.full((48, 64, 3), (number, 0, 200), np.uint8)  # BGR
        cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    return tmp_path


@pytest.fixture
def bag(tmp_path) -> Path:
    typestore = get_typestore(Stores.ROS2_JAZZY)
    path = tmp_path / "bag"
    with Writer(path, version=9) as writer:
        images = writer.add_connection("/image_raw", "sensor_msgs/msg/Image", typestore=typestore)
        infos = writer.add_connection(
            "/camera_info", "sensor_msgs/msg/CameraInfo", typestore=typestore
        )
        for number in range(3):
            stamp_ns = 1_500_000_000_000_000_000 + number * 20_000_000
            header = Header(stamp=stamp_from_ns(stamp_ns), frame_id="recorded")
            image = np.full((48, 64, 3), number, np.uint8)
            camera = CameraModel.from_focal_length(64, 48, 77.0)
            writer.write(images, stamp_ns, serialize_message(image_to_msg(image, header)))
            writer.write(infos, stamp_ns, serialize_message(camera_model_to_msg(camera, header)))
    return path


class Listener:
    """Keeps what the player publishes."""

    def __init__(self, peer) -> None:
        self.images: list[Image] = []
        self.infos: list[CameraInfo] = []
        peer.create_subscription(Image, "image_raw", self.images.append, 50)
        peer.create_subscription(CameraInfo, "camera_info", self.infos.append, 50)


def play(ros, until, parameter_overrides, count: int, **parameters) -> Listener:
    listener = Listener(ros.peer)
    player = ros.spin(
        CameraPlayer,
        parameter_overrides=parameter_overrides(wait_for_subscribers=1, **parameters),
    )
    player.start()
    until(lambda: len(listener.images) >= count and len(listener.infos) >= count)
    return listener


def test_folder_as_an_uncalibrated_camera(ros, until, parameter_overrides, folder):
    seen = play(ros, until, parameter_overrides, 5, source=str(folder), rate=50)
    pictures = [image_from_msg(msg) for msg in seen.images]
    assert [picture[0, 0].tolist() for picture in pictures] == [[200, 0, i] for i in range(1, 6)]
    for image, info in zip(seen.images, seen.infos, strict=True):
        assert image.header == info.header
        assert image.header.frame_id == "camera_optical_frame"
        assert (image.encoding, image.height, image.width, image.step) == ("rgb8", 48, 64, 192)
        assert (info.height, info.width, list(info.k)) == (48, 64, [0.0] * 9)
    stamps = [stamp_to_ns(msg.header.stamp) for msg in seen.images]
    assert (np.diff(stamps) > 0).all()


def test_parameters_of_the_camera(ros, until, parameter_overrides, folder):
    seen = play(
        ros,
        until,
        parameter_overrides,
        1,
        source=str(folder),
        encoding="bgr8",
        frame_id="rear",
        horizontal_fov_deg=90.0,
    )
    assert seen.images[0].encoding == "bgr8"
    assert image_from_msg(seen.images[0])[0, 0].tolist() == [200, 0, 1]
    assert seen.images[0].header.frame_id == "rear"
    assert seen.infos[0].k[0] == pytest.approx(32.0)
    assert seen.infos[0].distortion_model == "plumb_bob"


def test_focal_length_overrules_the_bag(ros, until, parameter_overrides, bag):
    seen = play(ros, until, parameter_overrides, 1, source=str(bag), focal_length=100)
    assert seen.infos[0].k[0] == 100.0


def test_bag_with_its_own_stamps_grows_on_through_loops(ros, until, parameter_overrides, bag):
    seen = play(ros, until, parameter_overrides, 7, source=str(bag), loop=True, stamps="original")
    stamps = [stamp_to_ns(msg.header.stamp) - 1_500_000_000_000_000_000 for msg in seen.images[:7]]
    assert stamps == [i * 20_000_000 for i in range(7)]
    assert [image_from_msg(m)[0, 0, 0] for m in seen.images[:7]] == [0, 1, 2, 0, 1, 2, 0]
    assert {msg.header.frame_id for msg in seen.images} == {"recorded"}
    assert seen.infos[0].k[0] == 77.0


def test_truth_goes_with_its_image(ros, until, parameter_overrides):
    truth: dict[str, list[Image]] = {"truth/panoptic": [], "truth/depth": []}
    for topic, received in truth.items():
        ros.peer.create_subscription(Image, topic, received.append, 50)
    seen = play(ros, until, parameter_overrides, 3, source="drive", duration=0.25)
    until(lambda: all(len(received) == 3 for received in truth.values()))
    stamps = [msg.header.stamp for msg in seen.images]
    expected = list(islice(open_source("drive").frames(), 3))
    for topic, part in (("truth/panoptic", "panoptic"), ("truth/depth", "depth")):
        assert [msg.header.stamp for msg in truth[topic]] == stamps
        for msg, frame in zip(truth[topic], expected, strict=True):
            np.testing.assert_array_equal(map_from_msg(msg), getattr(frame.truth, part))
    assert truth["truth/depth"][0].encoding == "32FC1"


def test_all_that_was_published_is_to_arrive_before_it_ends(
    ros, until, parameter_overrides, monkeypatch
):
    waited_for = []
    wait = Publisher.wait_for_all_acked

    def wait_and_tell(publisher, timeout):
        waited_for.append(publisher.topic_name)
        return wait(publisher, timeout)

    monkeypatch.setattr(Publisher, "wait_for_all_acked", wait_and_tell)
    play(ros, until, parameter_overrides, 1, source="drive", duration=0.05)
    topics = ["/camera_info", "/image_raw", "/truth/depth", "/truth/panoptic"]
    until(lambda: sorted(waited_for) == topics)


def test_bag_with_stamps_of_now(ros, until, parameter_overrides, bag):
    before = ros.peer.get_clock().now().nanoseconds
    seen = play(ros, until, parameter_overrides, 3, source=str(bag))
    stamps = [stamp_to_ns(msg.header.stamp) for msg in seen.images]
    assert stamps == sorted(stamps)
    assert stamps[0] > before


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"source": "/no/such.mp4"}, SourceError),
        ({"source": "."}, SourceError),
        ({"source": "x", "rate": -1.0}, ParameterError),
        ({"source": "x", "encoding": "nv12"}, ParameterError),
        ({"source": "x", "horizontal_fov_deg": 360.0}, ParameterError),
    ],
)
def test_what_cannot_be_played(ros, parameter_overrides, parameters, error):
    with pytest.raises(error):
        ros.spin(CameraPlayer, parameter_overrides=parameter_overrides(**parameters))


def run(*parameters: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "depthlab_ros.player", "--ros-args"]
    for parameter in parameters:
        command += ["-p", parameter]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_process_ends_with_one_line_at_a_missing_source():
    done = run("source:=/no/such.mp4")
    assert done.returncode == 1
    assert done.stderr == "error: got '/no/such.mp4', which does not exist\n"


def test_process_ends_with_one_line_at_a_broken_video(tmp_path):
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(1000))
    done = run(f"source:={path}")
    assert done.returncode == 1
    assert done.stderr == f"error: cannot read '{path}' as a video, image folder or bag\n"


def test_process_ends_with_one_line_at_a_missing_camera():
    done = run("source:=97")
    assert done.returncode == 1
    error = "error: cannot read the camera device '97': /dev/video97 does not exist\n"
    assert done.stderr == error


def test_process_ends_by_itself_when_the_source_does(folder):
    done = run(f"source:={folder}", "rate:=100")
    assert done.returncode == 0
    assert "published 5 frames" in done.stderr


def test_process_ends_cleanly_when_interrupted_while_waiting(ros, until, folder):
    command = [sys.executable, "-m", "depthlab_ros.player", "--ros-args"]
    command += ["-p", f"source:={folder}", "-p", "wait_for_subscribers:=1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    until(lambda: "camera_player" in ros.peer.get_node_names())
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "")
