# SPDX-License-Identifier: Apache-2.0
"""The set-up's prerequisites: what cannot work is said before anything is downloaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("modules", "text"),
    [
        # Humble's client library as far as this check sees it.
        (["rclpy/__init__.py"], "ROS_DISTRO is humble, expected jazzy or newer"),
        (
            [],
            "ROS_DISTRO is humble, but {python} has no rclpy; source its setup.bash, or unset "
            "ROS_DISTRO",
        ),
    ],
    ids=["too old", "not sourced"],
)
def test_a_ros_installation_that_cannot_work_is_refused(tmp_path, modules, text):
    checkout, installation = tmp_path / "checkout", tmp_path / "ros"
    (checkout / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "setup", checkout / "scripts")
    for module in modules:
        (installation / module).parent.mkdir(parents=True)
        (installation / module).touch()
    # Were it not refused, it must not change this machine.
    harmless = tmp_path / "bin"
    harmless.mkdir()
    for command in ("apt-get", "sudo"):
        (harmless / command).symlink_to("/bin/false")
    done = subprocess.run(
        [checkout / "scripts" / "setup"],
        env={
            "PATH": f"{harmless}:{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "PYTHON": sys.executable,
            "PYTHONPATH": str(installation),
            "ROS_DISTRO": "humble",
            "AMENT_PREFIX_PATH": str(installation),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = f"{sys.base_prefix}/bin/python{version}"
    assert done.stderr == f"error: {text.format(python=python)}\n"
    assert (done.returncode, done.stdout) == (1, "")
    assert not (checkout / ".venv").exists()
