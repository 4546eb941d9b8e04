# SPDX-License-Identifier: Apache-2.0
"""A model, or a middleware, that never answers can be left, and the node says so."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition

from depthlab_ros import inference_worker, node


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
    ros.peer.send(1)
    until(lambda: len(stub.images) == 1)
    assert not ros.change_state(Transition.TRANSITION_DEACTIVATE)
    assert ros.state() == "active"
    told = []
    until(lambda: told.extend(d for d in ros.peer.diagnostics if "failed" in d["message"]) or told)
    assert told[0]["level"] == DiagnosticStatus.ERROR
    assert told[0]["message"].startswith("deactivate failed: the model has been at one frame for")
    assert told[0]["state"] == "active"

    stub.gate.set()
    until(lambda: ros.peer.stamps() == [1])
    ros.peer.send(2)
    until(lambda: ros.peer.stamps() == [1, 2])
    impatient()
    assert ros.change_state(Transition.TRANSITION_DEACTIVATE)
    assert ros.state() == "inactive"
    until(lambda: ros.peer.diagnostics[-1]["message"] == "inactive")
    assert ros.peer.diagnostics[-1]["level"] == DiagnosticStatus.OK


def test_a_node_whose_publishing_hangs_stays_active_and_goes_on(
    ros, stub, until, impatient, monkeypatch
):
    gate, waiting = threading.Event(), threading.Event()
    publish = node.publish

    def hang(*args, **options):
        waiting.set()
        gate.wait()
        publish(*args, **options)

    monkeypatch.setattr(node, "publish", hang)
    ros.peer.listen("segments")
    ros.node(stub)
    ros.peer.send(1)
    until(waiting.is_set)
    assert not ros.change_state(Transition.TRANSITION_DEACTIVATE)
    assert ros.state() == "active"
    told = []
    until(lambda: told.extend(d for d in ros.peer.diagnostics if "failed" in d["message"]) or told)
    assert told[0]["message"].startswith("deactivate failed: publishing has been at one frame for")

    gate.set()
    ros.peer.send(2)
    until(lambda: ros.peer.stamps() == [1, 2])
    impatient()
    assert ros.change_state(Transition.TRANSITION_DEACTIVATE)
    # The frame that hung comes before newer ones, and not into the next activation.
    assert ros.change_state(Transition.TRANSITION_ACTIVATE)
    ros.peer.send(3)
    until(lambda: ros.peer.stamps() == [1, 2, 3])


def test_a_model_that_hangs_does_not_hold_up_the_end(ros, stub, until, impatient, capfd):
    ros.peer.listen("segments")
    ros.node(stub)
    stub.gate.clear()
    ros.peer.send(1)
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
    assert ros.peer.stamps() == []


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
    publishing = ros.peer.create_timer(0.1, lambda: ros.peer.send(1))
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
