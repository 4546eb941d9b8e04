# SPDX-License-Identifier: Apache-2.0
"""Large images over Fast DDS as it is: what best effort loses is asked for again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from depthlab_ros import health
from depthlab_ros.child_process import PROFILE_VARIABLES

pytestmark = pytest.mark.skipif(
    "fastrtps" not in rclpy.get_rmw_implementation_identifier(), reason="Fast DDS is not in use"
)
# A camera driver of somebody's own: QoS and transport are the defaults of ROS. Its images of
# 1080p are twelve times as large as the shared memory that Fast DDS reserves for them.
DRIVER = """
import array, time, rclpy
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("driver")
publisher = node.create_publisher(Image, "image_raw", 10)
image = Image(height=1080, width=1920, encoding="rgb8", step=1920 * 3)
image.data = array.array("B", bytes(1080 * 1920 * 3))
while True:
    image.header.stamp = Time(sec=image.header.stamp.sec + 1)
    publisher.publish(image)
    time.sleep(0.2)
"""


@contextmanager
def driver() -> Iterator[None]:
    environment = dict(os.environ)
    for variable in PROFILE_VARIABLES:
        environment.pop(variable, None)
    process = subprocess.Popen([sys.executable, "-c", DRIVER], env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def test_large_images_of_a_driver_with_default_settings_all_come(ros, stub, until, capfd):
    ros.peer.listen("segments")
    node = ros.node(stub)
    with driver():
        until(lambda: any(d.get("input_reliability") == "reliable" for d in ros.peer.diagnostics))

        def last_come_in_a_row() -> bool:
            # One may be dropped for the next while the machine is busy, but best effort loses
            # most of these.
            last = [msg.header.stamp.sec for msg in ros.peer.received["segments"]][-12:]
            return len(last) == 12 and last[-1] - last[0] == 11

        assert not last_come_in_a_row()
        until(last_come_in_a_row)
    assert input_qos(node) == (ReliabilityPolicy.RELIABLE, 1)
    lines = [line for line in capfd.readouterr().err.splitlines() if "reliable" in line]
    assert len(lines) == 1
    assert "[WARN]" in lines[0]
    assert "its publisher offers reliable images, which are asked for from now on" in lines[0]


def input_qos(node) -> tuple[ReliabilityPolicy, int] | None:
    """Return what is asked for; None for the moment in which the subscription is another."""
    found = [s.qos_profile for s in node.subscriptions if s.topic_name == "/image_raw"]
    assert len(found) <= 1
    return (found[0].reliability, found[0].depth) if found else None


def losing(node) -> None:
    """Let the node believe that the middleware has lost images."""
    node.cameras[0].health.on_lost(10)


def test_a_publisher_that_cannot_be_reliable_is_heard_again(ros, stub, until):
    node = ros.node(stub)
    losing(node)
    until(lambda: input_qos(node) == (ReliabilityPolicy.RELIABLE, 1))
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    second = ros.peer.create_publisher(Image, "image_raw", best_effort)
    until(lambda: input_qos(node) == (ReliabilityPolicy.BEST_EFFORT, 1))
    until(lambda: second.get_subscription_count() == 1)
    received = node.cameras[0].health.received
    before = received.total
    second.publish(Image(height=1, width=1, encoding="rgb8", step=3, data=[0, 0, 0]))
    until(lambda: received.total == before + 1)
    until(lambda: ros.peer.diagnostics[-1]["frames_received"] == str(before + 1))
    assert "incompatible" not in ros.peer.diagnostics[-1]["message"]


def test_a_driver_that_starts_late_is_given_time(ros, stub, until, monkeypatch):
    monkeypatch.setattr(health, "NO_IMAGES_S", 60.0)
    ros.peer.destroy_publisher(ros.peer.image_pub)
    node = ros.node(stub)
    node.cameras[0].health.clock = lambda: time.monotonic() + 100.0
    until(lambda: any("nobody publishes it" in d["message"] for d in ros.peer.diagnostics))
    ros.peer.create_publisher(Image, "image_raw", 10)
    until(lambda: node.count_publishers("image_raw") == 1)
    told = len(ros.peer.diagnostics)
    until(lambda: len(ros.peer.diagnostics) >= told + 3)
    last = ros.peer.diagnostics[-1]
    assert (last["message"], last["input_reliability"]) == ("active", "best_effort")


def test_a_publisher_of_another_type_asks_for_nothing(ros, stub, until):
    ros.peer.destroy_publisher(ros.peer.image_pub)
    node = ros.node(stub)
    losing(node)
    ros.peer.create_publisher(CompressedImage, "image_raw", 10)
    until(lambda: node.count_publishers("image_raw") == 1)
    told = len(ros.peer.diagnostics)
    until(lambda: len(ros.peer.diagnostics) >= told + 3)
    assert input_qos(node) == (ReliabilityPolicy.BEST_EFFORT, 1)


def test_switched_off_while_it_runs_best_effort_comes_back(ros, stub, until, parameter_overrides):
    node = ros.node(stub)
    losing(node)
    until(lambda: input_qos(node) == (ReliabilityPolicy.RELIABLE, 1))
    [result] = node.set_parameters(parameter_overrides(reliable_on_loss=False))
    assert result.successful
    until(lambda: input_qos(node) == (ReliabilityPolicy.BEST_EFFORT, 1))


@pytest.mark.parametrize(
    "parameters",
    [
        {"reliable_on_loss": False},
        {"enable": False},
    ],
    ids=["switched off", "disabled"],
)
def test_best_effort_stays_where_it_is_wanted(ros, stub, until, parameters):
    node = ros.node(stub, **parameters)
    losing(node)
    told = len(ros.peer.diagnostics)
    until(lambda: len(ros.peer.diagnostics) >= told + 3)
    assert input_qos(node) == (ReliabilityPolicy.BEST_EFFORT, 1)
    assert ros.peer.diagnostics[-1]["input_reliability"] == "best_effort"


def test_overrides_of_other_policies_outlive_the_change(ros, stub, until):
    node = ros.node(stub, **{"qos_overrides./image_raw.subscription.depth": 3})
    losing(node)
    until(lambda: input_qos(node) == (ReliabilityPolicy.RELIABLE, 3))
