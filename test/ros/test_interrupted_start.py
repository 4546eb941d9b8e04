# SPDX-License-Identifier: Apache-2.0
"""Processes that are interrupted before their node is there end without a word."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import rclpy

from depthlab_ros.shutdown import shut_down

PROCESS = """
import os, signal, sys, time
import rclpy
from depthlab_ros import {module} as module

class Interrupted(module.{name}):
    def __init__(self):
        os.kill(os.getpid(), signal.{signal})
        while rclpy.ok():
            time.sleep(0.01)
        super().__init__()

module.{name} = Interrupted
sys.exit(module.main())
"""

# As the thread that serves a signal does it while the main thread shuts ROS down.
TWICE = """
import sys
import rclpy
from depthlab_ros import {module} as module

class Interrupted(module.{name}):
    def __init__(self):
        raise KeyboardInterrupt

def shut_down_twice():
    context = rclpy.get_default_context()
    with context.handle:
        context.handle.shutdown()
    context.shutdown()

module.{name} = Interrupted
rclpy.try_shutdown = shut_down_twice
sys.exit(module.main())
"""


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    ("module", "name"), [("node", "DepthLabNode"), ("player", "CameraPlayer")]
)
def test_an_interrupt_while_the_node_is_made_is_no_error(module, name, signal):
    assert run(PROCESS.format(module=module, name=name, signal=signal)) == (0, "", "")


@pytest.mark.parametrize(
    ("module", "name"), [("node", "DepthLabNode"), ("player", "CameraPlayer")]
)
def test_a_signal_that_shuts_ros_down_meanwhile_is_no_error(module, name):
    assert run(TWICE.format(module=module, name=name)) == (0, "", "")


def test_other_errors_of_the_shutdown_are_told(monkeypatch):
    def fail() -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(rclpy, "try_shutdown", fail)
    monkeypatch.setattr(rclpy, "ok", lambda: True)
    with pytest.raises(RuntimeError, match="no memory"):
        shut_down()


def run(code: str) -> tuple[int, str, str]:
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=os.environ
    )
    return done.returncode, done.stdout, done.stderr
