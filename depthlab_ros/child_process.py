# SPDX-License-Identifier: Apache-2.0
"""Run this repository's own executables as child processes."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

STOP_TIMEOUT_S = 10.0
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
"""What names the profiles of Fast DDS: up to version 2 (ROS 2 Jazzy), and from 3 on (Kilted)."""
TRANSPORT_VARIABLES = (*PROFILE_VARIABLES, "FASTDDS_BUILTIN_TRANSPORTS")
"""With what a user chooses transports; profiles of ours would override the last one."""


@contextmanager
def run_child(
    module: str, parameters: Mapping[str, str | float | bool]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module like ``python -m``, with ROS parameters, and end it with the block.

    It says only what is wrong; what else it would log is left out.

    Args:
        module: Full name of the module.
        parameters: ROS parameters by name.
    """
    command = [sys.executable, "-m", __name__, module, "--ros-args", "--log-level", "warn"]
    for name, value in parameters.items():
        command += ["-p", f"{name}:={_to_yaml(value)}"]
    # Out of reach of the terminal's Ctrl-C, or the child would be interrupted twice.
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield process
    finally:
        try:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # At once after a second Ctrl-C; one that has ended is left alone.
            process.kill()
            process.wait()


@contextmanager
def end_of_terminal_interrupts() -> Iterator[None]:
    """Take the end of the terminal for Ctrl-C: children, out of its reach, would stay."""

    def interrupt(*_: object) -> None:
        # The shell and the kernel may both send it, and once is enough.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:  # nohup ignores it
        yield
        return
    signal.signal(signal.SIGHUP, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def keep_to_this_machine() -> None:
    """Stay here, out of a robot's way, unless the user has chosen a domain; children follow."""
    if "ROS_DOMAIN_ID" not in os.environ:
        # 1 to 101: the ids whose ports no Linux hands out for other purposes.
        os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 101)
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


def transports_are_chosen() -> bool:
    """Return whether the user has told Fast DDS what to send by."""
    return any(name in os.environ for name in TRANSPORT_VARIABLES)


def hold_large_images() -> None:
    """Give Fast DDS shared memory for large images, unless the user has set it; children follow.

    Call it before ``rclpy.init``. Elsewhere than in a checkout launch files do it.
    """
    profiles = Path(__file__).parents[1] / "config" / "fastdds.xml"
    if profiles.is_file() and not transports_are_chosen():
        os.environ.update(dict.fromkeys(PROFILE_VARIABLES, str(profiles)))


def _to_yaml(value: str | float | bool) -> str:
    """Return a value as ROS's command line takes it."""
    if isinstance(value, str):
        # Quoted, or a folder named 2024 would become a number.
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower()


def _run_module() -> None:
    """Run the module that the command line names first, with the rest of the command line.

    Its imports take seconds, and interrupted in one of them Python would print a traceback.
    """
    del sys.argv[0]
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    _run_module()
