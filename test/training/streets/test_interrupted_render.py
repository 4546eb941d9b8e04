# SPDX-License-Identifier: Apache-2.0
"""Drawing that is interrupted keeps what it has begun; one that is killed leaves nobody behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.fixture
def beginning(tmp_path):
    """A process that draws many towns, in a session of its own."""
    command = [sys.executable, "-m", "training.streets.render", "--out", str(tmp_path / "streets")]
    process = subprocess.Popen(
        [*command, "--frames", "1000", "--size", "96x64"],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield process
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture
def drawing(beginning):
    """One that has finished the first town."""
    assert beginning.stdout.readline() == "10 of 1000 frames\n"
    return beginning


def workers_of(process) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_ctrl_c_finishes_the_towns_that_are_begun(drawing, tmp_path):
    pictures = tmp_path / "streets/leftImg8bit/train/train"
    while not (count := len(list(pictures.iterdir()))) % 10:
        assert drawing.poll() is None
    whole = count - count % 10 + 10
    # As a terminal does: to all processes of the foreground.
    os.killpg(drawing.pid, signal.SIGINT)
    out, err = drawing.communicate(timeout=300)
    assert drawing.returncode == 130
    assert err == "interrupted: finishing the towns that are begun\n"
    assert out.splitlines()[-1] == f"{whole} of 1000 frames"
    index = json.loads((tmp_path / "streets/gtFine/cityscapes_panoptic_train.json").read_text())
    assert len(index["annotations"]) == whole
    assert len(list(pictures.iterdir())) == whole


def test_ctrl_c_spares_workers_that_are_beginning(beginning):
    while not (beginnings := workers_of(beginning)):
        assert beginning.poll() is None
    time.sleep(0.1)  # imports take longer
    assert all(is_running(worker) for worker in beginnings)
    os.killpg(beginning.pid, signal.SIGINT)
    out, err = beginning.communicate(timeout=300)
    assert beginning.returncode == 130
    assert err == "interrupted: finishing the towns that are begun\n"
    assert out == "10 of 1000 frames\n"


def test_workers_end_with_a_parent_that_was_killed(drawing):
    (worker,) = workers_of(drawing)
    drawing.kill()
    drawing.wait()
    deadline = time.monotonic() + 30
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(worker)
