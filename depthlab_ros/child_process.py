# SPDX-License-Identifier: Apache-2.0
"""Run the package's own executables as child processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

STOP_TIMEOUT_S = 10.0


@contextmanager
def run_child(
    module: str, parameters: Mapping[str, str | float | bool]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``python -m depthlab_ros.<module>``, and end it with the block.

    It says only what is wrong; what else it would log is left out.

    Args:
        module: Name of the module in this package.
        parameters: ROS parameters by name.
    """
    command = [sys.executable, "-m", f"depthlab_ros.{module}", "--ros-args", "--log-level", "warn"]
    for name, value in parameters.items():
        command += ["-p", f"{name}:={_to_yaml(value)}"]
    # Out of reach of the terminal's Ctrl-C, or the child would be interrupted twice.
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _to_yaml(value: str | float | bool) -> str:
    """Return a value as ROS's command line takes it."""
    if isinstance(value, str):
        # Quoted, or a folder named 2024 would become a number.
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower()
