# SPDX-License-Identifier: Apache-2.0
"""The whole way: player and node as two processes, their topics recorded into files."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from depthlab_msgs.msg import Segment

from depthlab_core import CITYSCAPES, build_network, save_checkpoint
from depthlab_core.model_zoo import LITE0
from depthlab_ros.child_process import PROFILE_VARIABLES
from depthlab_ros.demo import main, parameters_of_player, parse_arguments
from depthlab_ros.sources import open_source
from depthlab_ros.video_writer import read_frames


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An untrained network that is quick: its input is small."""
    path = tmp_path_factory.mktemp("model") / "untrained.safetensors"
    config = dataclasses.replace(LITE0, input=dataclasses.replace(LITE0.input, size=(64, 96)))
    save_checkpoint(path, build_network("lite0").state_dict(), config, CITYSCAPES, {})
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5.0, (160, 120))
    noise = np.random.default_rng(0).integers(0, 255, (20, 120, 160, 3), dtype=np.uint8)
    for image in noise:
        writer.write(image)
    writer.release()
    return path


# Longer than a node is silent about silence. Python runs a module of this name first of all.
SLOW_PLAYER = """
import sys, time
if "depthlab_ros.player" in sys.orig_argv:
    time.sleep(16)
"""


# Files of the demo cannot grow any more once the video has begun, as on a disk that is full.
FULL_DISK = """
import os, resource, sys, threading, time

def fill():
    while not (os.path.exists(video) and os.path.getsize(video)):
        time.sleep(0.01)
    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(video), resource.RLIM_INFINITY))

if "depthlab_ros.demo" in sys.orig_argv:
    video = os.path.join(sys.orig_argv[sys.orig_argv.index("--out") + 1], "annotated.mp4")
    threading.Thread(target=fill, daemon=True).start()
"""


def demo(
    *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "depthlab_ros.demo", *arguments]
    pipes = {"capture_output": True, "text": True, "check": False}
    return subprocess.run(command, **pipes, timeout=600, env=os.environ | (environment or {}))


def test_demo(tmp_path, checkpoint, clip):
    out = tmp_path / "demo"
    # A name that neither YAML nor a shell may touch.
    source = shutil.copy(clip, tmp_path / "Anna's #1: clip.avi")
    (tmp_path / "sitecustomize.py").write_text(SLOW_PLAYER)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    arguments = ("--source", source, "--out", str(out), "--model", str(checkpoint))
    done = demo(*arguments, environment={"PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    # Not that nobody publishes images, however long the player takes to start.
    assert done.stderr.count("\n") == 1, done.stderr
    assert "depth is not metric: no calibrated camera_info" in done.stderr
    lines = done.stdout.replace(str(out), "out/demo").splitlines()
    assert max(len(line) for line in lines) <= 80
    assert "frames in   20" in done.stdout

    summary = json.loads((out / "summary.json").read_text())
    assert summary["frames_in"] == 20
    assert 0 < summary["frames_out"] <= 20
    assert summary["dropped"] == 20 - summary["frames_out"]
    assert (summary["model"], summary["device"]) == ("lite0", "cpu")
    assert 0 < summary["latency_ms_p50"] <= summary["latency_ms_p95"]
    assert summary["fps"] > 0
    lines = [json.loads(line) for line in (out / "segments.jsonl").read_text().splitlines()]
    assert len(lines) == summary["frames_out"]
    stamps = [line["stamp"] for line in lines]
    assert stamps == sorted(set(stamps))
    fields = list(Segment.get_fields_and_field_types())
    assert all(list(segment) == fields for line in lines for segment in line["segments"])
    assert sum(1 for _ in read_frames(out / "annotated.mp4")) == summary["frames_out"]
    assert cv2.imread(str(out / "contact_sheet.png")).shape[1] == 3 * 640


def test_demo_with_truth_measures_and_shows_both(tmp_path, checkpoint):
    arguments = ("--source", "drive", "--duration", "1", "--rate", "5")
    done = demo(*arguments, "--out", str(tmp_path), "--model", str(checkpoint))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.replace(str(tmp_path), "out/demo").splitlines()
    assert max(len(line) for line in lines) <= 80
    accuracy = json.loads((tmp_path / "accuracy.json").read_text())
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert 0 < accuracy["frames"] <= summary["frames_out"] <= 5
    assert 0.0 <= accuracy["pq"] < 0.5  # an untrained network
    assert f"against the truth of {accuracy['frames']:.0f} frames" in done.stdout
    frames = list(read_frames(tmp_path / "annotated.mp4"))
    assert len(frames) == accuracy["frames"]
    played = next(open_source("drive").frames()).image
    assert frames[0][0].shape == (2 * played.shape[0], 2 * played.shape[1], 3)
    # Nothing else is left of the frames that were kept for measuring.
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "accuracy.json",
        "annotated.mp4",
        "contact_sheet.png",
        "segments.jsonl",
        "summary.json",
    }


# Ctrl-C, and the end of the terminal.
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_demo_interrupted_leaves_nothing_behind(tmp_path, checkpoint, clip, until, number):
    command = [sys.executable, "-m", "depthlab_ros.demo", "--source", str(clip), "--rate", "2"]
    command += ["--out", str(tmp_path), "--model", str(checkpoint), "--horizontal-fov-deg", "60"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # Tests may run under nohup, whose children would be deaf to the end of the terminal.
    hear = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        process = subprocess.Popen(command, text=True, start_new_session=True, **pipes)
    finally:
        signal.signal(signal.SIGHUP, hear)
    until(lambda: (tmp_path / "annotated.mp4").exists())
    children = _children(process.pid)
    assert len(children) == 2
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (130, "interrupted\n")
    assert not any(Path("/proc", child).exists() for child in children)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_demo_without_a_model_ends_with_one_line(tmp_path, clip):
    missing = tmp_path / "missing.safetensors"
    done = demo("--source", str(clip), "--out", str(tmp_path), "--model", str(missing))
    assert done.returncode == 1
    assert "configure failed" in done.stderr
    assert done.stderr.splitlines()[-1] == "error: depthlab_node could not load the model"


def test_demo_without_a_source_ends_at_once(tmp_path):
    done = demo("--source", "/no/such.mp4", "--out", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "error: got '/no/such.mp4', which does not exist\n"


@pytest.mark.parametrize(
    ("option", "parameter"),
    [("--rate=-1", "rate"), ("--duration=nan", "duration"), ("--horizontal-fov-deg=180", "horiz")],
)
def test_demo_with_impossible_options_ends_at_once(
    tmp_path, monkeypatch, capsys, option, parameter
):
    _keep_environment(monkeypatch)
    assert main(["--source", "drive", "--out", str(tmp_path / "demo"), option]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: parameter '{parameter}")
    assert said.count("\n") == 1
    assert not (tmp_path / "demo").exists()


def test_the_player_gets_what_the_demo_is_told():
    arguments = ["--source", "clip.mp4", "--bag-topic", "/front/image_raw", "--rate", "7"]
    arguments += ["--duration", "3", "--horizontal-fov-deg", "75"]
    assert parameters_of_player(parse_arguments(arguments)) == {
        "source": "clip.mp4",
        "bag_topic": "/front/image_raw",
        "rate": 7.0,
        "duration": 3.0,
        "horizontal_fov_deg": 75.0,
        "wait_for_subscribers": 2,
    }


def test_demo_of_a_topic_that_the_bag_lacks_ends_with_one_line(tmp_path, capsys, monkeypatch):
    _keep_environment(monkeypatch)
    arguments = ["--source", "drive", "--out", str(tmp_path / "demo"), "--bag-topic", "/rear"]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "image topic '/rear'" in said
    assert said.count("\n") == 1


def _keep_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what the demo sets for its children, so that nothing of it stays in this process."""
    for name in (*PROFILE_VARIABLES, "OPENCV_LOG_LEVEL", "OPENCV_FFMPEG_LOGLEVEL"):
        monkeypatch.setenv(name, os.environ.get(name, "0"))


def test_demo_on_a_full_disk_ends_with_one_line(tmp_path, checkpoint, clip):
    (tmp_path / "sitecustomize.py").write_text(FULL_DISK)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    arguments = ("--source", str(clip), "--out", str(tmp_path / "demo"))
    arguments += ("--model", str(checkpoint), "--horizontal-fov-deg", "60")
    done = demo(*arguments, environment={"PYTHONPATH": path})
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot go on recording: [Errno 27] File too large")
    assert done.stderr.count("\n") == 1


def test_demo_of_a_broken_video_ends_with_one_line(tmp_path):
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(1000))
    done = demo("--source", str(path), "--out", str(tmp_path / "demo"))
    assert done.returncode == 1
    assert done.stderr == f"error: cannot read '{path}' as a video, image folder or bag\n"


def test_demo_into_a_file_ends_with_one_line(tmp_path):
    out = tmp_path / "results"
    out.write_text("of somebody else")
    done = demo("--source", "drive", "--out", str(out))
    assert done.returncode == 1
    assert done.stderr == f"error: got '{out}', expected a folder that can be written\n"
    assert out.read_text() == "of somebody else"
