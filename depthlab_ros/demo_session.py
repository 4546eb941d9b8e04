# SPDX-License-Identifier: Apache-2.0
"""Node and player as two processes, from their start to the last frame."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import rclpy

from depthlab_ros.child_process import run_child
from depthlab_ros.comparison import Comparison
from depthlab_ros.progress import show_progress
from depthlab_ros.recorder import Recorder
from depthlab_ros.recording import Recording

# Importing torch and loading a model takes minutes on a machine that is busy with other things.
START_TIMEOUT_S = 180.0
ASK_AGAIN_S = 2.0
QUIET_S = 2.0
LONGEST_DRAIN_S = 30.0


class DemoError(Exception):
    """Why the demo cannot go on; one line for the user."""


def play_through_node(
    model: str,
    device: str,
    player_parameters: Mapping[str, str | float | bool],
    recording: Recording,
    comparison: Comparison | None,
    seconds: float | None,
) -> None:
    """Play a source through the node and record what comes out; ROS is initialised.

    Args:
        model: Bundled model or path of a checkpoint.
        device: As the node's parameter.
        player_parameters: Parameters of ``camera_player``.
        recording: Takes in the node's outputs.
        comparison: Takes in frames together with their truth; None for a source without truth.
        seconds: How long it will play, None if unknown.

    Raises:
        DemoError: If one of both does not start or ends early, or no frame comes out.
    """
    recorder = Recorder(recording, comparison)
    try:
        node_parameters: dict[str, str | bool] = {
            "model": model,
            "device": device,
            "autostart": False,
            # Best effort, the default for cameras, loses most images of this size on their way.
            "qos_overrides./image_raw.subscription.reliability": "reliable",
        }
        with run_child("depthlab_ros.node", node_parameters) as node:
            _configure(recorder, node, model)
            with run_child("depthlab_ros.player", player_parameters) as player:
                _activate(recorder, node, player)
                _record(recorder, recording, node, player, seconds)
    finally:
        recorder.destroy_node()
    if not recording.frames_out:
        raise DemoError("no frame came out of the node")


def _configure(recorder: Recorder, node: subprocess.Popen[bytes], model: str) -> None:
    """Have the node load its model, and wait until its topics are connected."""
    print(f"starting depthlab_node with model {Path(model).name}", flush=True)
    _wait_for(recorder, node, recorder.node_is_there, "did not start")
    # A request sent before the node knows of this process is lost; this one may be sent again.
    _wait_for(recorder, node, _Answered(recorder), "did not answer")
    answer = recorder.request_configure()
    _wait_for(recorder, node, answer.done, "did not answer")
    if not answer.result().success:
        raise DemoError("depthlab_node could not load the model")
    _wait_for(recorder, node, recorder.is_matched, "is not reachable over DDS")


def _activate(
    recorder: Recorder, node: subprocess.Popen[bytes], player: subprocess.Popen[bytes]
) -> None:
    """Start the node once there is something to play, or it would warn of silence meanwhile."""

    def is_ready() -> bool:
        return player.poll() is not None or recorder.player_is_there()

    _wait_for(recorder, node, is_ready, "waited for camera_player, which did not start")
    answer = recorder.request_activate()
    _wait_for(recorder, node, answer.done, "did not answer")
    if not answer.result().success:
        raise DemoError("depthlab_node could not be activated")


class _Answered:
    """Asks for the node's state again and again; true once it has answered."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._answer = recorder.request_state()
        self._asked = time.monotonic()

    def __call__(self) -> bool:
        if time.monotonic() - self._asked > ASK_AGAIN_S:
            self._answer = self._recorder.request_state()
            self._asked = time.monotonic()
        return bool(self._answer.done())


def _record(
    recorder: Recorder,
    recording: Recording,
    node: subprocess.Popen[bytes],
    player: subprocess.Popen[bytes],
    seconds: float | None,
) -> None:
    """Take in what comes until the player has ended and the node has gone quiet."""
    with show_progress(seconds) as show:
        while player.poll() is None:
            _check_alive(node)
            rclpy.spin_once(recorder, timeout_sec=0.1)
            show(recording)
        if player.returncode:
            raise DemoError("camera_player could not play the source")
        start = last_news = time.monotonic()
        count = recording.frames_out
        # The last frame may still be in the model.
        quiet = max(QUIET_S, 3e-3 * recording.summary().latency_ms_p95)
        while time.monotonic() - last_news < quiet and time.monotonic() - start < LONGEST_DRAIN_S:
            rclpy.spin_once(recorder, timeout_sec=0.1)
            if recording.frames_out != count:
                count, last_news = recording.frames_out, time.monotonic()
            show(recording)


def _wait_for(
    recorder: Recorder,
    node: subprocess.Popen[bytes],
    is_so: Callable[[], bool],
    failure: str,
) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_so():
        _check_alive(node)
        if time.monotonic() > deadline:
            raise DemoError(f"depthlab_node {failure} within {START_TIMEOUT_S:.0f} s")
        rclpy.spin_once(recorder, timeout_sec=0.1)


def _check_alive(node: subprocess.Popen[bytes]) -> None:
    if node.poll() is not None:
        raise DemoError(f"depthlab_node ended with exit code {node.returncode}")
