# SPDX-License-Identifier: Apache-2.0
"""The script that draws and trains: mistakes cost no time, and signals lose nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

STAND_IN = f"""#!{sys.executable} -S
import os, signal, subprocess, sys, time

arguments = sys.argv[1:]
if arguments[0] == "-":
    sys.exit(print(os.environ["SECONDS_USED"]))
if "--check" in arguments:
    if os.environ["CHECK"] == "real":
        os.execv({sys.executable!r}, [{sys.executable!r}, *arguments])
    sys.exit()


def note(kind, text=""):
    path = os.path.join(os.environ["NOTES"], kind + str(os.getpid()))
    with open(path + "_", "w") as file:
        file.write(text)
    os.rename(path + "_", path)


if arguments[1] == "training.streets.render":
    if os.environ["RENDER"] == "fails" and "--mount" not in arguments:
        time.sleep(1)
        sys.exit("no OpenGL")
    if os.environ["RENDER"] != "draws":
        worker = subprocess.Popen(["sleep", "120"])
        note("render", str(worker.pid))
        worker.wait()
    note("drawn", arguments[arguments.index("--out") + 1])
else:
    output = next(a for a in arguments if a.startswith("output=")).removeprefix("output=")

    def save(number, frame):
        # As long as a step takes: whoever does not wait for it finds no state.
        time.sleep(0.5)
        with open(os.path.join(output, "run_state.pt"), "w") as file:
            file.write("saved")
        sys.exit(int(os.environ["STATUS"]))

    signal.signal(signal.SIGTERM, save)
    signal.signal(signal.SIGINT, save)
    note("train", " ".join(arguments))
    if os.environ["TRAIN"] == "ends":
        save(0, None)
    time.sleep(120)
"""

# A terminal signals the whole process group.
BY_A_SIGNAL = pytest.mark.parametrize(
    ("number", "to_all"),
    [(signal.SIGINT, True), (signal.SIGHUP, True), (signal.SIGTERM, False)],
    ids=["Ctrl-C", "hang-up", "kill"],
)


def hear_signals() -> None:
    """Undo what nohup and shells do to background jobs: bash cannot trap what was ignored."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Script:
    """The script with stand-ins for what it starts."""

    def __init__(self, folder: Path) -> None:
        self.out, self.notes = folder / "out", folder / "notes"
        self.camvid = folder / "camvid"
        self.started: list[subprocess.Popen[str]] = []
        for path in (self.notes, self.camvid / "train", folder / "bin"):
            path.mkdir(parents=True)
        for path, text in (
            (folder / "python", STAND_IN),
            # Kind 3 is the first with a mount of its own.
            (folder / "bin" / "nproc", "#!/bin/sh\necho 4\n"),
        ):
            path.write_text(text)
            path.chmod(0o755)
        self.environment = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "PYTHON": str(folder / "python"),
            "NOTES": str(self.notes),
            "CAMVID": str(self.camvid),
            "DEVICE": "cpu",
            "CHECK": "passes",
            "RENDER": "draws",
            "TRAIN": "runs",
            "STATUS": "0",
            "SECONDS_USED": "600",
        }

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start it in a process group of its own, as a terminal does."""
        process = subprocess.Popen(
            [ROOT / "scripts" / "train_on_gpu", self.out, "9", *arguments],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=hear_signals,
        )
        self.started.append(process)
        return process

    def wait_for(self, kind: str, count: int) -> list[Path]:
        """Wait until so many processes have left a note."""
        deadline = time.monotonic() + 120
        while len(found := sorted(self.notes.glob(f"{kind}*[0-9]"))) < count:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return found


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    script = Script(tmp_path)
    yield script
    for process in script.started:
        process.kill()
        process.communicate()


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that nobody has waited for yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def assert_gone(pids: list[int]) -> None:
    """Wait a little for processes to end."""
    deadline = time.monotonic() + 20
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pids_of(notes: list[Path]) -> list[int]:
    """Return the processes of renders and of their workers."""
    renders = [int(note.name.removeprefix("render")) for note in notes]
    return renders + [int(note.read_text()) for note in notes]


def test_minutes_that_are_no_number_are_one_line(tmp_path):
    command = [ROOT / "scripts" / "train_on_gpu", tmp_path / "out", "1.5h"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == "error: MINUTES: got 1.5h, expected a whole number\n"
    assert done.returncode == 2
    assert not (tmp_path / "out").exists()


def test_it_draws_trains_and_leaves_pieces(script):
    process = script.start("--set", "optimizer.lr=0.5", TRAIN="ends")
    said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    parts = [str(script.out / "streets" / f"part{core}") for core in range(4)]
    assert sorted(note.read_text() for note in script.wait_for("drawn", 4)) == parts
    (note,) = script.wait_for("train", 1)
    arguments = note.read_text()
    for core, part in enumerate(parts):
        assert f" datasets.streets{core}.root={part} " in arguments
        assert f" datasets.streets{core}.weight=0.25 " in arguments
    # The last word is the user's.
    assert arguments.endswith(" --set optimizer.lr=0.5")
    assert (script.out / "pieces" / "run_state.pt.00").read_text() == "saved"


def test_it_goes_on_from_pieces_and_keeps_them_where_training_fails(script):
    pieces = script.out / "pieces"
    pieces.mkdir(parents=True)
    (pieces / "run_state.pt.00").write_text("earlier")
    process = script.start(TRAIN="ends", STATUS="3")
    process.communicate(timeout=120)
    assert process.returncode == 3
    assert (pieces / "run_state.pt.00").read_text() == "earlier"
    (note,) = script.wait_for("train", 1)
    # Ten of the earlier run and nine of this, less one for the start and for saving.
    minutes = float(note.read_text().rpartition("loop.minutes=")[2])
    assert 17 < minutes <= 18


@BY_A_SIGNAL
def test_a_signal_in_training_saves_and_leaves_pieces(script, number, to_all):
    process = script.start()
    (note,) = script.wait_for("train", 1)
    (os.killpg if to_all else os.kill)(process.pid, number)
    said = process.communicate(timeout=60)
    assert process.returncode == 128 + number, said
    assert_gone([int(note.name.removeprefix("train"))])
    assert (script.out / "pieces" / "run_state.pt.00").read_text() == "saved"


@BY_A_SIGNAL
def test_a_signal_in_drawing_ends_the_renders_and_their_workers(script, number, to_all):
    process = script.start(RENDER="waits")
    renders = script.wait_for("render", 4)
    (os.killpg if to_all else os.kill)(process.pid, number)
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert_gone(pids_of(renders))


def test_a_render_that_fails_ends_the_others(script):
    process = script.start(RENDER="fails")
    renders = script.wait_for("render", 1)
    error = process.communicate(timeout=60)[1]
    log = script.out / "render0.log"
    assert error == f"no OpenGL\nerror: no streets can be drawn, see {log}\n"
    assert process.returncode == 1
    assert_gone(pids_of(renders))


@pytest.mark.parametrize(
    ("arguments", "environment", "error"),
    [
        (
            [],
            {"CAMVID": "/nowhere"},
            "CAMVID: got /nowhere, expected a folder with CamVid's train (docs/training.md)",
        ),
        (
            ["--set", "optimizer.lr=-1"],
            {},
            "optimizer.lr: got -1.0, expected a positive number",
        ),
        (
            ["--set", "datasets.streets3.repeat_threshold=2"],
            {},
            "datasets.streets3.repeat_threshold: got 2.0, expected a share from 0 to 1",
        ),
    ],
    ids=["CamVid", "--set", "--set of drawn streets"],
)
def test_mistakes_are_told_before_anything_is_drawn(script, arguments, environment, error):
    process = script.start(*arguments, **environment, CHECK="real")
    assert process.communicate(timeout=120)[1] == f"error: {error}\n"
    assert process.returncode == 1
    assert list(script.notes.iterdir()) == []
