# SPDX-License-Identifier: Apache-2.0
"""What child processes inherit, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
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
    _have_module(tmp_path, monkeypatch, "")
    with run_child("endless", {}) as process:
        until((tmp_path / "begun").exists)
    assert process.returncode == 130
    assert capfd.readouterr() == ("", "")


def test_a_second_interrupt_leaves_no_child_behind(tmp_path, monkeypatch, until):
    _have_module(tmp_path, monkeypatch, "signal.signal(signal.SIGINT, signal.SIG_IGN)")

    def interrupt(process, timeout=None):
        if timeout is not None:
            raise KeyboardInterrupt
        return wait(process)

    wait = subprocess.Popen.wait
    monkeypatch.setattr(subprocess.Popen, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt), run_child("endless", {}) as process:
        until((tmp_path / "begun").exists)
    assert process.returncode == -signal.SIGKILL


def _have_module(folder: Path, monkeypatch: pytest.MonkeyPatch, begin: str) -> None:
    """Let children find a module ``endless`` that makes the file ``begun`` here."""
    lines = ["import pathlib, signal, time", begin, "pathlib.Path('begun').touch()"]
    (folder / "endless.py").write_text("\n".join([*lines, "time.sleep(300)"]))
    path = [str(folder), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    monkeypatch.chdir(folder)
