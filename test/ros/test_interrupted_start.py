# SPDX-License-Identifier: Apache-2.0
"""Processes that are interrupted before their node is there end without a word."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    ("module", "name"), [("node", "DepthLabNode"), ("player", "CameraPlayer")]
)
def test_an_interrupt_while_the_node_is_made_is_no_error(module, name, signal):
    code = PROCESS.format(module=module, name=name, signal=signal)
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=os.environ
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
