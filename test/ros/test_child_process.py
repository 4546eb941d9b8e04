# SPDX-License-Identifier: Apache-2.0
"""What child processes inherit, and how they end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from depthlab_ros.child_process import PROFILE_VARIABLES, hold_large_images, run_child

PROFILES = str(Path(__file__).parents[2] / "config" / "fastdds.xml")


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, dict.fromkeys(PROFILE_VARIABLES, PROFILES)),
        ({PROFILE_VARIABLES[0]: "mine.xml"}, {PROFILE_VARIABLES[0]: "mine.xml"}),
        # Profiles without built-in transports would silently win over it.
        ({"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}, {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}),
    ],
    ids=["nothing chosen", "profiles chosen", "transports chosen"],
)
def test_shared_memory_for_large_images_unless_the_user_has_chosen(monkeypatch, chosen, expected):
    monkeypatch.setattr(os, "environ", dict(chosen))
    hold_large_images()
    assert os.environ == expected


def test_a_child_that_is_interrupted_while_it_imports_says_nothing(
    tmp_path, monkeypatch, capfd, until
):
    module = "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(300)\n"
    (tmp_path / "slow_to_import.py").write_text(module)
    path = [str(tmp_path), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    monkeypatch.chdir(tmp_path)
    with run_child("slow_to_import", {}) as process:
        until((tmp_path / "begun").exists)
    assert process.returncode == 130
    assert capfd.readouterr() == ("", "")
