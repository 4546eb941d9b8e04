# SPDX-License-Identifier: Apache-2.0
"""``/diagnostics`` over DDS: what is told when all is well and when it is not."""

from __future__ import annotations

import array
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header, String

from depthlab_ros import reporter
from depthlab_ros.child_process import PROFILE_VARIABLES
from depthlab_ros.health import WHAT_AGAINST_LOSSES

OK, WARN = DiagnosticStatus.OK, DiagnosticStatus.WARN


def image_msg(stamp: Time) -> Image:
    image = np.zeros((48, 64, 3), np.uint8)
    msg = Image(height=48, width=64, encoding="rgb8", step=192)
    msg.header = Header(stamp=stamp, frame_id="cam")
    msg.data = array.array("B", image.tobytes())
    return msg


def publish(ros) -> None:
    ros.peer.image_pub.publish(image_msg(ros.peer.get_clock().now().to_msg()))


def test_a_working_node_tells_rates_times_and_memory(ros, stub, until):
    ros.peer.listen("segments")
    [camera] = ros.node(stub, focal_length=50.0).cameras
    for number in range(1, 21):
        publish(ros)
        until(lambda number=number: camera.health.published.total == number)
    until(lambda: any(d.get("frames_published") == "20" for d in ros.peer.diagnostics))
    last = next(d for d in ros.peer.diagnostics if d.get("frames_published") == "20")
    assert (last["level"], last["message"]) == (OK, "active")
    assert (last["name"], last["model"], last["device"]) == ("/depthlab_node", "stub", "cpu")
    assert float(last["input_rate_hz"]) > 0.0
    assert float(last["output_rate_hz"]) > 0.0
    assert float(last["latency_ms"]) > 0.0
    for stage in ("waiting", "decode", "inference", "handover", "tracking", "publish"):
        assert float(last[f"{stage}_ms"]) >= 0.0
    assert 50.0 < float(last["memory_mib"]) < 20_000.0
    assert (last["frames_dropped"], last["frames_failed"], last["last_error"]) == ("0", "0", "")


def test_a_node_without_work_wakes_up_for_its_reports_alone(ros, stub, until):
    executor = ros.node(stub).executor
    wake_ups, spin_once = [], executor.spin_once
    executor.spin_once = lambda *args: (wake_ups.append(1), spin_once(*args))
    reports = ros.peer.diagnostics
    start = len(reports)
    until(lambda: len(reports) > start)
    begun = len(wake_ups)
    until(lambda: len(reports) > start + 3)
    assert len(wake_ups) - begun <= 3 * 5


def test_stages_of_the_model_are_told(ros, stub, until):
    stub.timings = {"preprocess": 1.5, "network": 20.25}
    ros.peer.listen("segments")
    ros.node(stub)
    publish(ros)
    until(lambda: any(d.get("frames_published") == "1" for d in ros.peer.diagnostics))
    last = ros.peer.diagnostics[-1]
    assert (last["preprocess_ms"], last["network_ms"]) == ("1.5", "20.2")


def test_no_images_is_a_warning(ros, stub, until):
    ros.node(stub)
    until(lambda: any(d["level"] == WARN for d in ros.peer.diagnostics))
    message = ros.peer.diagnostics[-1]["message"]
    assert message.startswith("no image on /image_raw for ")
    assert "; it has a publisher, so large images may get lost: ask for reliable" in message


def test_incompatible_publisher_is_named_until_it_is_gone(ros, stub, until):
    node = ros.node(stub, **{"qos_overrides./image_raw.subscription.reliability": "reliable"})
    best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = ros.peer.create_publisher(Image, "image_raw", best_effort)
    until(lambda: any("incompatible QoS" in d["message"] for d in ros.peer.diagnostics))
    last = next(d for d in ros.peer.diagnostics if "incompatible QoS" in d["message"])
    assert last["level"] == WARN
    assert last["message"].startswith("incompatible QoS: /image_raw from /peer: ")
    assert "reliab" in last["message"].lower()

    ros.peer.destroy_publisher(publisher)
    until(lambda: node.count_publishers("image_raw") == 1)
    until(lambda: "incompatible QoS" not in ros.peer.diagnostics[-1]["message"])


@pytest.mark.parametrize(
    ("kind", "topic", "told"),
    [
        (
            CompressedImage,
            "image_raw",
            "/image_raw from /peer is sensor_msgs/msg/CompressedImage, not sensor_msgs/msg/Image: "
            "set image_transport",
        ),
        (
            String,
            "camera_info",
            "/camera_info from /peer is std_msgs/msg/String, not sensor_msgs/msg/CameraInfo",
        ),
    ],
)
def test_a_publisher_of_another_type_is_named(ros, stub, until, kind, topic, told):
    for own in (ros.peer.image_pub, ros.peer.camera_info_pub):
        ros.peer.destroy_publisher(own)
    node = ros.node(stub)
    # As if it had been waiting for long.
    node.cameras[0].health.clock = lambda: time.monotonic() + 100.0
    publisher = ros.peer.create_publisher(kind, topic, 10)
    until(lambda: node.count_publishers(topic) == 1)
    count = len(ros.peer.diagnostics)
    until(lambda: len(ros.peer.diagnostics) >= count + 3)
    last = ros.peer.diagnostics[-1]
    assert (last["level"], last["message"]) == (WARN, told)
    assert last["input_reliability"] == "best_effort"

    ros.peer.destroy_publisher(publisher)
    until(lambda: ros.peer.diagnostics[-1]["message"].endswith("nobody publishes it"))


# Sends images of 26 MB from another process without shared memory and without a second try. The
# small ones come through, and show the reader that something is missing before them.
LOSSY_CAMERA = """
import array, time, rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("lossy_camera")
qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
publisher = node.create_publisher(Image, "image_raw", qos)
large = Image(height=2160, width=4096, encoding="rgb8", step=4096 * 3)
large.data = array.array("B", bytes(2160 * 4096 * 3))
small = Image(height=1, width=1, encoding="rgb8", step=3, data=[0, 0, 0])
while True:
    for image in (large, small):
        publisher.publish(image)
        time.sleep(0.05)
"""


def test_images_lost_by_the_middleware_are_counted_and_told(ros, stub, until, monkeypatch, capfd):
    monkeypatch.setattr(reporter, "LASTING", 2)
    ros.node(stub)
    environment = os.environ | {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}
    for variable in PROFILE_VARIABLES:
        environment.pop(variable, None)
    camera = subprocess.Popen([sys.executable, "-c", LOSSY_CAMERA], env=environment)
    try:
        until(lambda: any("were lost on their way" in d["message"] for d in ros.peer.diagnostics))
        said = []
        until(lambda: said.append(capfd.readouterr().err) or "lost on their way" in "".join(said))
    finally:
        camera.terminate()  # with a farewell
        camera.wait()
    told = next(d for d in ros.peer.diagnostics if "were lost on their way" in d["message"])
    assert told["level"] == WARN
    assert int(told["frames_lost"]) > 1
    assert " images on /image_raw were lost" in told["message"]
    [line] = [line for line in "".join(said).splitlines() if "lost on their way" in line]
    assert "[WARN]" in line
    assert line.endswith(WHAT_AGAINST_LOSSES)


def test_slow_model_cannot_keep_up(ros, stub, until):
    ros.peer.listen("segments")
    ros.node(stub)
    stub.gate.clear()

    def is_told() -> bool:
        publish(ros)
        return any("cannot keep up" in d["message"] for d in ros.peer.diagnostics)

    until(is_told)
    last = next(d for d in ros.peer.diagnostics if "cannot keep up" in d["message"])
    assert last["level"] == WARN
    assert int(last["frames_dropped"]) > 0


def test_reports_go_on_while_the_model_hangs(ros, stub, until):
    stub.gate.clear()
    ros.peer.listen("segments")
    ros.node(stub)
    publish(ros)
    until(lambda: any(d.get("frames_received") == "1" for d in ros.peer.diagnostics))
    count = len(ros.peer.diagnostics)
    until(lambda: len(ros.peer.diagnostics) >= count + 3)
    assert ros.peer.diagnostics[-1]["frames_published"] == "0"
    stub.gate.set()
    until(lambda: len(ros.peer.received["segments"]) == 1)


def test_unconfigured_node_reports(ros, stub, until):
    ros.node(stub, start=False)
    until(lambda: len(ros.peer.diagnostics) > 0)
    assert ros.peer.diagnostics[-1]["message"] == "unconfigured"


def test_reports_go_on_while_simulated_time_stands_still(ros, stub, until):
    ros.node(stub, use_sim_time=True)
    until(lambda: len(ros.peer.diagnostics) >= 2)


def test_stamps_are_kept_and_jumps_back_start_over(ros, stub, until):
    clock = ros.peer.create_publisher(Clock, "/clock", 10)
    ros.peer.listen("segments")
    node = ros.node(stub, use_sim_time=True)
    until(lambda: clock.get_subscription_count() > 0)
    calibrations = node.cameras[0].calibrations

    def play(seconds: int, focal_length: float) -> None:
        stamp = Time(sec=seconds, nanosec=5)
        clock.publish(Clock(clock=stamp))
        until(lambda: node.get_clock().now().nanoseconds == seconds * 10**9 + 5)
        k = [focal_length, 0.0, 31.5, 0.0, focal_length, 23.5, 0.0, 0.0, 1.0]
        info = CameraInfo(header=Header(stamp=stamp), width=64, height=48, k=k)
        ros.peer.camera_info_pub.publish(info)
        until(lambda: calibrations.find(seconds * 10**9 + 5).focal_length == focal_length)
        ros.peer.image_pub.publish(image_msg(stamp))

    ros.peer.camera_info_pub.publish(CameraInfo(width=64, height=48))
    until(lambda: calibrations.find(0) is not None)
    for count, (seconds, focal_length) in enumerate(
        [(1000, 50.0), (1001, 51.0), (500, 52.0), (501, 53.0)], start=1
    ):
        play(seconds, focal_length)
        until(lambda count=count: len(ros.peer.received["segments"]) == count)
    received = [msg.header.stamp for msg in ros.peer.received["segments"]]
    assert received == [Time(sec=s, nanosec=5) for s in (1000, 1001, 500, 501)]
    assert stub.focal_lengths == [50.0, 51.0, 52.0, 53.0]
    # What was paired before the jump is forgotten: the last calibration stands in.
    assert calibrations.find(1000 * 10**9 + 5).focal_length == 53.0


def test_a_looped_bag_goes_on_without_simulated_time(ros, stub, until):
    ros.peer.listen("segments")
    ros.node(stub)
    for count, seconds in enumerate([10, 11, 12, 10, 11], start=1):
        ros.peer.image_pub.publish(image_msg(Time(sec=seconds)))
        until(lambda count=count: len(ros.peer.received["segments"]) == count)
    assert [m.header.stamp.sec for m in ros.peer.received["segments"]] == [10, 11, 12, 10, 11]
    until(lambda: any(d.get("frames_published") == "5" for d in ros.peer.diagnostics))
    assert ros.peer.diagnostics[-1]["latency_ms"] == "unknown"
