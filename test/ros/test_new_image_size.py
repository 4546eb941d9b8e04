# SPDX-License-Identifier: Apache-2.0
"""A camera that changes its size, and a backend that has to compile for the new one."""

from __future__ import annotations

import threading

import pytest

from depthlab_core import CITYSCAPES, DepthLab, build_network, save_checkpoint
from depthlab_core.model_zoo import MODELS


@pytest.fixture
def load_model(tmp_path):
    """Loads lite0 with random weights into OpenVINO."""
    path = tmp_path / "random.safetensors"
    save_checkpoint(path, build_network("lite0").state_dict(), MODELS["lite0"], CITYSCAPES, {})
    return lambda: DepthLab.load(path, "cpu", "openvino", "fp32")


@pytest.fixture
def compiling(monkeypatch) -> tuple[threading.Event, threading.Event]:
    """Return what says that a compilation has begun, and the gate before it."""
    engine = pytest.importorskip("depthlab_core.openvino_engine", reason="openvino is missing")
    compile_now, begun, gate = engine._compile, threading.Event(), threading.Event()
    gate.set()

    def compile_behind_gate(*arguments):
        begun.set()
        assert gate.wait(300.0)
        return compile_now(*arguments)

    monkeypatch.setattr(engine, "_compile", compile_behind_gate)
    yield begun, gate
    gate.set()


def test_the_newest_frame_wins_while_a_new_size_is_compiled(
    ros, until, load_model, compiling, capfd
):
    begun, gate = compiling
    ros.peer.listen("segments")
    node = ros.node(load_model(), warm_up_size=[48, 96])
    [camera] = node.cameras
    capfd.readouterr()
    begun.clear()
    ros.peer.send(1, 48, 96)
    until(lambda: ros.peer.stamps() == [1])
    assert not begun.is_set()

    gate.clear()
    ros.peer.send(2, 64, 64)
    until(begun.is_set)
    for number in range(3, 10):
        ros.peer.send(number, 64, 64)
    until(lambda: camera.newest_stamp_ns == 9 * 10**9)
    gate.set()
    until(lambda: ros.peer.stamps() == [1, 2, 9])
    sizes = [(msg.height, msg.width) for msg in ros.peer.received["segments"]]
    assert sizes == [(48, 96), (64, 64), (64, 64)]
    [line] = [text for text in capfd.readouterr().err.splitlines() if "compiling" in text]
    assert line.endswith("fp32 on cpu: compiling for 448x448")
