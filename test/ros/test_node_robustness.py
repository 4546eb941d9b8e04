# SPDX-License-Identifier: Apache-2.0
"""The node under bad frames, too many frames, and lifecycle requests of every kind."""

from __future__ import annotations

import array
import copy
import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from depthlab_msgs.msg import SegmentArray
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from depthlab_core import CITYSCAPES, DepthLab, build_network, save_checkpoint
from depthlab_core.model_zoo import MODELS
from depthlab_ros import inference_worker
from depthlab_ros.conversions import stamp_to_ns
from depthlab_ros.memory import process_mib
from depthlab_ros.node import DepthLabNode
from depthlab_ros.parameter_declaration import ParameterError


def image_msg(number: int, *, encoding: str = "rgb8") -> Image:
    """Return a message whose stamp and first pixel are ``number``."""
    image = np.full((48, 64, 3), number, np.uint8)
    msg = Image(height=48, width=64, encoding=encoding, step=64 * 3)
    msg.header = Header(frame_id="camera")
    msg.header.stamp.sec = number
    msg.data = array.array("B", image.tobytes())
    return msg


def stamps(ros) -> list[int]:
    return [msg.header.stamp.sec for msg in ros.peer.received["segments"]]


def test_bad_encoding_costs_that_frame_alone(ros, stub, until):
    ros.peer.listen("segments")
    ros.node(stub)
    ros.peer.image_pub.publish(image_msg(1))
    until(lambda: stamps(ros) == [1])
    ros.peer.image_pub.publish(image_msg(2, encoding="x-ray"))
    until(lambda: any(d.get("frames_failed") == "1" for d in ros.peer.diagnostics))
    ros.peer.image_pub.publish(image_msg(3))
    until(lambda: stamps(ros) == [1, 3])
    assert "got encoding 'x-ray'" in ros.peer.diagnostics[-1]["last_error"]


def test_truncated_image_costs_that_frame_alone(ros, stub, until):
    ros.peer.listen("segments")
    ros.node(stub)
    short = image_msg(1)
    short.data = short.data[:-1]
    ros.peer.image_pub.publish(short)
    until(lambda: any(d.get("frames_failed") == "1" for d in ros.peer.diagnostics))
    ros.peer.image_pub.publish(image_msg(2))
    until(lambda: stamps(ros) == [2])
    assert "got 9215 bytes of data" in ros.peer.diagnostics[-1]["last_error"]


def test_failing_model_costs_that_frame_alone(ros, stub, until):
    ros.peer.listen("segments")
    ros.node(stub)
    stub.failure = RuntimeError("out of memory\nwith a long trace")
    ros.peer.image_pub.publish(image_msg(1))
    until(lambda: any(d.get("frames_failed") == "1" for d in ros.peer.diagnostics))
    stub.failure = None
    ros.peer.image_pub.publish(image_msg(2))
    until(lambda: stamps(ros) == [2])
    last = ros.peer.diagnostics[-1]
    assert last["last_error"] == "frame failed: RuntimeError: out of memory with a long trace"


def test_newest_of_a_burst_comes_out(ros, stub, until):
    ros.peer.listen("segments")
    [camera] = ros.node(stub).cameras
    stub.gate.clear()
    for number in range(1, 31):
        ros.peer.image_pub.publish(image_msg(number))
        if number == 1:
            until(lambda: len(stub.images) == 1)
    until(lambda: camera.newest_stamp_ns == 30 * 10**9)
    stub.gate.set()
    until(lambda: stamps(ros)[-1:] == [30])
    assert stamps(ros) == [1, 30]
    assert [int(image[0, 0, 0]) for image in stub.images] == [1, 30]


def test_subscribers_may_come_and_go(ros, stub, until):
    node = ros.node(stub)
    for number in range(1, 4):
        ros.peer.listen("segments")
        ros.connect(node)
        ros.peer.image_pub.publish(image_msg(number))
        until(lambda number=number: stamps(ros) == list(range(1, number + 1)))
        ros.peer.destroy_subscription(ros.peer.listeners.pop("segments"))
        until(lambda: not node.cameras[0].outputs.any_wanted(lazy=True))
        ros.peer.image_pub.publish(image_msg(100 + number))
        until(lambda number=number: node.cameras[0].health.received.total == 2 * number)
    assert [int(image[0, 0, 0]) for image in stub.images] == [1, 2, 3]


def test_memory_stays_flat_while_every_output_is_sent(ros, stub, until):
    ros.peer.listen()
    ros.node(stub, focal_length=50.0)
    image = np.zeros((480, 640, 3), np.uint8)
    image[:, 320:, 0] = 200
    sizes = []
    for number in range(1, 121):
        msg = Image(height=480, width=640, encoding="rgb8", step=640 * 3)
        msg.header.stamp.sec = number
        msg.data = array.array("B", image.tobytes())
        ros.peer.image_pub.publish(msg)
        until(lambda number=number: stamps(ros)[-1:] == [number])
        for messages in ros.peer.received.values():
            del messages[:-1]
        stub.images.clear()
        if number % 40 == 0:
            sizes.append(process_mib())
    # 80 frames would show, were one of their messages kept: the smallest image has 0.3 MB.
    assert sizes[2] - sizes[0] < 20.0


def test_node_killed_and_restarted_under_a_running_player(until, ros, tmp_path):
    path = tmp_path / "random.safetensors"
    save_checkpoint(path, build_network("lite0").state_dict(), MODELS["lite0"], CITYSCAPES, {})
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((48, 64, 3), np.uint8))
    play = ["depthlab_ros.player", "--ros-args", "-p", f"source:={tmp_path}", "-p", "loop:=true"]
    work = ["depthlab_ros.node", "--ros-args", "-p", f"model:={path}", "-p", "tracking:=false"]
    ros.peer.destroy_publisher(ros.peer.image_pub)
    ros.peer.listen("segments")
    received = ros.peer.received["segments"]

    def answers_of_a_node(end: signal.Signals) -> list[SegmentArray]:
        received.clear()
        node = subprocess.Popen([sys.executable, "-m", *work], env=os.environ)
        try:
            until(lambda: len(received) >= 3)
        finally:
            node.send_signal(end)
            node.wait()
        return list(received)

    player = subprocess.Popen([sys.executable, "-m", *play], env=os.environ)
    try:
        before = answers_of_a_node(signal.SIGKILL)
        after = answers_of_a_node(signal.SIGTERM)
        assert player.poll() is None
    finally:
        player.terminate()
        player.wait()
    # One picture, so one answer.
    seen = {str(replace_volatile(answer)) for answer in before + after}
    assert len(seen) == 1
    order = [stamp_to_ns(answer.header.stamp) for answer in before + after]
    assert order == sorted(set(order))


def replace_volatile(answer: SegmentArray) -> SegmentArray:
    """Return an answer without what differs from frame to frame of a picture that stands."""
    answer = copy.deepcopy(answer)
    answer.header.stamp, answer.inference_ms = Time(), 0.0
    return answer


def test_a_destroyed_node_is_seen_no_more(participants, ros, stub, until):
    node = DepthLabNode(
        context=participants.node,
        load_model=lambda *_: stub,
        parameter_overrides=[_parameter("start_type_description_service", False)],
    )
    node.start()
    until(lambda: "depthlab_node" in ros.peer.get_node_names())
    until(ros.peer.get_state.service_is_ready)
    gc.disable()
    try:
        node.destroy_node()
        until(lambda: "depthlab_node" not in ros.peer.get_node_names())
        until(lambda: not ros.peer.get_state.service_is_ready())
    finally:
        gc.enable()


def test_missing_checkpoint_fails_configure_and_leaves_the_node_usable(ros, stub, tmp_path):
    def load_model(name: str, *how: str):
        return stub if name == "good" else DepthLab.load(name, *how)

    node = ros.spin(DepthLabNode, load_model=load_model)
    call_set = node.set_parameters
    [missing] = call_set([_parameter("model", str(tmp_path / "missing.safetensors"))])
    assert missing.successful
    node.start()
    assert ros.state() == "unconfigured"
    assert not ros.change_state(Transition.TRANSITION_CONFIGURE)
    assert ros.state() == "unconfigured"

    assert call_set([_parameter("model", "good")])[0].successful
    assert ros.change_state(Transition.TRANSITION_CONFIGURE)
    assert ros.change_state(Transition.TRANSITION_ACTIVATE)
    assert ros.state() == "active"


def test_corrupt_checkpoint_fails_configure(ros, tmp_path):
    path = tmp_path / "corrupt.safetensors"
    path.write_bytes(b"\x00" * 100)
    node = ros.spin(DepthLabNode)
    node.set_parameters([_parameter("model", str(path))])
    assert not ros.change_state(Transition.TRANSITION_CONFIGURE)
    assert ros.state() == "unconfigured"


def test_transition_that_the_state_does_not_have_is_refused(ros, stub):
    ros.node(stub, start=False, autostart=False)
    assert not ros.change_state(Transition.TRANSITION_ACTIVATE)
    assert not ros.change_state(Transition.TRANSITION_CLEANUP)
    assert not ros.change_state(250)
    assert ros.state() == "unconfigured"
    assert ros.change_state(Transition.TRANSITION_CONFIGURE)
    assert ros.state() == "inactive"


def test_lifecycle_round_trip_keeps_working(ros, stub, until):
    ros.peer.listen("segments")
    node = ros.node(stub)
    ros.peer.image_pub.publish(image_msg(1))
    until(lambda: stamps(ros) == [1])

    assert ros.change_state(Transition.TRANSITION_DEACTIVATE)
    until(lambda: ros.peer.image_pub.get_subscription_count() == 0)
    ros.peer.image_pub.publish(image_msg(2))
    assert ros.change_state(Transition.TRANSITION_CLEANUP)
    until(lambda: ros.peer.listeners["segments"].get_publisher_count() == 0)
    assert ros.change_state(Transition.TRANSITION_CONFIGURE)
    assert ros.change_state(Transition.TRANSITION_ACTIVATE)
    ros.connect(node)

    ros.peer.image_pub.publish(image_msg(3))
    until(lambda: stamps(ros) == [1, 3])
    assert ros.change_state(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert ros.state() == "finalized"


@pytest.fixture
def impatient(monkeypatch):
    """Lets a model that hangs be waited for but shortly, until it is called."""
    with monkeypatch.context() as context:
        context.setattr(inference_worker, "STOP_TIMEOUT_S", 0.01)
        yield context.undo


def test_a_node_whose_model_hangs_stays_active_and_goes_on(ros, stub, until, impatient):
    ros.peer.listen("segments")
    ros.node(stub)
    stub.gate.clear()
    ros.peer.image_pub.publish(image_msg(1))
    until(lambda: len(stub.images) == 1)
    assert not ros.change_state(Transition.TRANSITION_DEACTIVATE)
    assert ros.state() == "active"
    told = []
    until(lambda: told.extend(d for d in ros.peer.diagnostics if "failed" in d["message"]) or told)
    assert told[0]["level"] == DiagnosticStatus.ERROR
    assert told[0]["message"].startswith("deactivate failed: the model has been at one frame for")
    assert told[0]["state"] == "active"

    stub.gate.set()
    until(lambda: stamps(ros) == [1])
    ros.peer.image_pub.publish(image_msg(2))
    until(lambda: stamps(ros) == [1, 2])
    impatient()
    assert ros.change_state(Transition.TRANSITION_DEACTIVATE)
    assert ros.state() == "inactive"
    until(lambda: ros.peer.diagnostics[-1]["message"] == "inactive")
    assert ros.peer.diagnostics[-1]["level"] == DiagnosticStatus.OK


def test_a_model_that_hangs_does_not_hold_up_the_end(ros, stub, until, impatient, capfd):
    ros.peer.listen("segments")
    ros.node(stub)
    stub.gate.clear()
    ros.peer.image_pub.publish(image_msg(1))
    until(lambda: len(stub.images) == 1)
    assert ros.change_state(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert ros.state() == "finalized"

    stub.gate.set()
    until(lambda: {"inference", "publishing"}.isdisjoint(t.name for t in threading.enumerate()))
    # Nor does the frame that comes out of it after all make trouble.
    lines = capfd.readouterr().err.splitlines()
    [line] = [line for line in lines if "[INFO]" not in line]
    assert "[ERROR]" in line
    assert "the model has been at one frame for" in line
    assert line.endswith(", which is abandoned")
    assert stamps(ros) == []


HANGING_NODE = """
import threading
from depthlab_core import CITYSCAPES
from depthlab_core.config import PostprocessConfig
from depthlab_ros import inference_worker, node

class Hanging:
    name, device, labels, postprocess = "hanging", "cpu", CITYSCAPES, PostprocessConfig()

    def predict_batch(self, images, focal_lengths):
        print("hangs", flush=True)
        threading.Event().wait()

class HangingNode(node.DepthLabNode):
    def __init__(self):
        super().__init__(load_model=lambda *_: Hanging())

inference_worker.STOP_TIMEOUT_S = 0.01
node.DepthLabNode = HangingNode
raise SystemExit(node.main())
"""


def test_a_process_whose_model_hangs_ends_when_interrupted(ros):
    ros.peer.listen("segments")
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING_NODE, "--ros-args", "--log-level", "warn"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    publishing = ros.peer.create_timer(0.1, lambda: ros.peer.image_pub.publish(image_msg(1)))
    try:
        assert process.stdout.readline() == "hangs\n"
        ros.peer.destroy_timer(publishing)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0
    assert re.fullmatch(
        r"error: the model has been at one frame for \d+ s, which is abandoned\n", errors
    )


def test_autostart_off_waits_for_the_manager(ros, stub):
    node = ros.node(stub, start=False, autostart=False)
    node.start()
    assert ros.state() == "unconfigured"


OUT_OF_RANGE = pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("focal_length", -1.0, "parameter 'focal_length': got -1.0, expected a number from 0"),
        ("depth_statistic", "max", "got 'max', expected one of mean, median, p05, p95"),
        ("lazy", "yes", "parameter 'lazy': got 'yes', expected true or false"),
        ("image_transport", "theora", "got 'theora', expected one of raw, compressed"),
    ],
)


@OUT_OF_RANGE
def test_parameter_out_of_range_at_the_start(ros, stub, name, value, text):
    with pytest.raises(ParameterError) as error:
        ros.node(stub, start=False, **{name: value})
    assert text in str(error.value)
    assert "\n" not in str(error.value)


@OUT_OF_RANGE
def test_parameter_out_of_range_at_runtime(ros, stub, parameter_overrides, name, value, text):
    node = ros.node(stub, start=False)
    [result] = node.set_parameters(parameter_overrides(**{name: value}))
    assert not result.successful
    assert result.reason


def test_what_may_not_change_is_refused_with_a_reason(ros, stub, parameter_overrides):
    node = ros.node(stub)
    [model] = node.set_parameters(parameter_overrides(model="other"))
    assert not model.successful
    assert "'model' can change only while the node is unconfigured" in model.reason
    [autostart] = node.set_parameters(parameter_overrides(autostart=False))
    assert not autostart.successful
    assert "read-only" in autostart.reason
    assert node.get_parameter("model").value == "lite0"


def test_backend_and_precision_reach_the_engine(ros, capfd, parameter_overrides):
    chosen = parameter_overrides(backend="torch", precision="bf16")
    node = ros.spin(DepthLabNode, parameter_overrides=chosen)
    node.start()
    assert ros.state() == "active"
    [line] = [line for line in capfd.readouterr().err.splitlines() if "network runs by" in line]
    assert line.endswith("network runs by torch bf16 on cpu (as asked for)")
    [refused] = node.set_parameters([_parameter("backend", "openvino")])
    assert "'backend' can change only while the node is unconfigured" in refused.reason


def test_process_says_one_line_about_a_missing_checkpoint_and_ends_cleanly(tmp_path):
    path = tmp_path / "missing.safetensors"
    command = [sys.executable, "-m", "depthlab_ros.node", "--ros-args", "-p", f"model:={path}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    first = process.stderr.readline()
    assert "configure failed" in first
    assert str(path) in first
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=300)
    assert rest == ""
    assert process.returncode == 0


def test_process_ends_with_one_line_at_a_bad_parameter():
    command = [sys.executable, "-m", "depthlab_ros.node", "--ros-args", "-p", "focal_length:=-3.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "error: parameter 'focal_length': got -3.0, expected a number from 0 to 1e+06\n"
    )


def _parameter(name: str, value: object) -> Parameter:
    return Parameter(name, value=value)
