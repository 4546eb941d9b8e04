# SPDX-License-Identifier: Apache-2.0
"""What ``docs/peers.md`` promises and no other test shows."""

from __future__ import annotations

import array
import ast
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from builtin_interfaces.msg import Time
from rclpy.qos import HistoryPolicy, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from depthlab_core.predictor import choose_device
from depthlab_ros.node import DepthLabNode

ROOT = Path(__file__).parents[2]
K = [50.0, 0.0, 31.5, 0.0, 50.0, 23.5, 0.0, 0.0, 1.0]


def header(number: int) -> Header:
    return Header(stamp=Time(sec=number, nanosec=987_654_321), frame_id="front/optical")


def image_msg(number: int) -> Image:
    """Return an image with road on the left and a car on the right, by the stub's rule."""
    image = np.full((48, 64, 3), 10, np.uint8)
    image[:, 32:, 0] = 200
    msg = Image(header=header(number), height=48, width=64, encoding="rgb8", step=192)
    msg.data = array.array("B", image.tobytes())
    return msg


def test_input_is_best_effort_depth_1_and_qos_can_be_overridden(ros, stub):
    override = "qos_overrides./segments.publisher.reliability"
    node = ros.node(stub, **{override: "best_effort"})
    [image] = [s for s in node.subscriptions if s.topic_name == "/image_raw"]
    assert image.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    assert (image.qos_profile.history, image.qos_profile.depth) == (HistoryPolicy.KEEP_LAST, 1)
    reliability = {
        topic: node.get_publishers_info_by_topic(topic)[0].qos_profile.reliability
        for topic in ("/segments", "/semantic", "/depth/image", "/markers")
    }
    assert reliability.pop("/segments") == ReliabilityPolicy.BEST_EFFORT
    assert set(reliability.values()) == {ReliabilityPolicy.RELIABLE}


def test_every_output_of_every_frame_has_the_header_of_its_image(ros, stub, until):
    ros.peer.listen()
    node = ros.node(stub)
    ros.peer.camera_info_pub.publish(CameraInfo(header=header(1), width=64, height=48, k=K))
    until(lambda: node.cameras[0].calibrations.find(0) is not None)
    received = ros.peer.received
    for number in range(1, 4):
        ros.peer.image_pub.publish(image_msg(number))
        until(lambda number=number: all(len(msgs) == number for msgs in received.values()))
    expected = [header(number) for number in range(1, 4)]
    for name, messages in received.items():
        if name == "markers":
            headers = [marker.header for array in messages for marker in array.markers]
            assert all(found in expected for found in headers)
            headers = [array.markers[-1].header for array in messages]
        else:
            headers = [msg.header for msg in messages]
        assert headers == expected, name


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_missing_gpu_is_one_line_and_auto_goes_on_without(ros, capfd, parameter_overrides):
    node = ros.spin(DepthLabNode, parameter_overrides=parameter_overrides(device="cuda"))
    node.start()
    assert ros.state() == "unconfigured"
    [line] = [text for text in capfd.readouterr().err.splitlines() if "[depthlab_node]" in text]
    assert line.endswith("configure failed: device: got 'cuda', expected auto or one of cpu")
    assert choose_device("auto").type == "cpu"


def test_executables_start_the_python_of_the_active_environment():
    settings = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert "executable = /usr/bin/env python3" in settings
    for name in ("depthlab_node", "camera_player"):
        built = ROOT / "install" / "depthlab_ros" / "lib" / "depthlab_ros" / name
        assert built.read_text(encoding="utf-8").splitlines()[0] == "#!/usr/bin/env python3"


def test_setuptools_stays_below_80():
    # Of what is installed on a ROS installation, too.
    pins = (ROOT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    [major] = re.findall(r"^setuptools==(\d+)", pins, re.MULTILINE)
    assert int(major) < 80


def test_every_test_that_the_page_names_exists():
    page = (ROOT / "docs" / "peers.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test/[\w/]+\.py)::(test_\w+)`", page)
    assert len(named) > 30
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, (path, name)
