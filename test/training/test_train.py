# SPDX-License-Identifier: Apache-2.0
"""The loop resumes exactly, stops when asked or when the loss breaks, and shares its work."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import training.train as train_module
from depthlab_core.checkpoint import load_checkpoint
from training import final_report
from training.collective import Collective
from training.config import ConfigError, TrainConfig
from training.config_file import config_from_dict
from training.datasets.cityscapes_layout import CityscapesLayout
from training.datasets.sample import DatasetError
from training.loader import message_of
from training.run_state import FILE_NAME, RunStateError, changed_entries
from training.train import LossNotFiniteError, main, own_device, train

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


def small_config(output: Path, **loop) -> dict:
    return {
        "output": str(output),
        "model": {"name": "lite0"},
        "datasets": {
            "streets": {
                "kind": "streets",
                "frames": 3,
                "size": [64, 128],
                "keep_in_memory": True,
            }
        },
        "augment": {"crop": [64, 96], "scale": [0.9, 1.1]},
        "targets": {"sigma": 2},
        "loss": {"depth_loss": "silog_relative", "depth_gradient": 0.2},
        "optimizer": {"name": "adamw", "lr": 0.001, "warmup_iterations": 2, "clip_norm": 10.0},
        "loop": {
            "iterations": 4,
            "batch_size": 2,
            "workers": 0,
            "threads": 1,
            "ema_decay": 0.5,
            "log_every": 1,
            "report_frames": 0,
            **loop,
        },
    }


def state_of(folder: Path) -> dict:
    return torch.load(folder / FILE_NAME, weights_only=True)


def assert_same_weights(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Send SIGTERM to this process while step ``steps`` is done."""
    original, done = train_module.train_step, []

    def counted(*arguments):
        original(*arguments)
        done.append(True)
        if len(done) == steps:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(train_module, "train_step", counted)


def test_resuming_gives_the_same_weights_as_an_unbroken_run(tmp_path, monkeypatch):
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    train(config_from_dict(small_config(unbroken)), CPU)
    config = config_from_dict(small_config(broken))
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        train(config, CPU)
    assert state_of(broken)["step"] == 2
    train(config, CPU)
    assert state_of(broken)["step"] == 4
    assert_same_weights(state_of(unbroken)["network"], state_of(broken)["network"])
    assert_same_weights(state_of(unbroken)["ema"], state_of(broken)["ema"])


def test_the_exported_checkpoint_holds_the_averaged_weights(tmp_path):
    train(config_from_dict(small_config(tmp_path, iterations=1)), CPU)
    checkpoint = load_checkpoint(tmp_path / "model.safetensors")
    assert checkpoint.provenance["steps"] == 1
    assert_same_weights(state_of(tmp_path)["ema"], checkpoint.network.state_dict())
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["loop"]["iterations"] == 1


def test_tensorboard_gets_scalars_and_pictures_and_the_run_a_report(tmp_path, caplog):
    caplog.set_level("INFO", logger="training")
    raw = small_config(tmp_path, iterations=2, pictures_every=2, report_frames=2)
    train(config_from_dict(raw), CPU)
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    assert {"loss/total", "loss/depth", "lr", "val_streets/pq"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("loss/total")] == [1, 2]
    panels = ("input", "panoptic", "panoptic_true", "depth", "depth_true", "depth_error")
    assert set(events.Tags()["images"]) == {f"streets/{panel}" for panel in panels}
    picture = events.Images("streets/input")[0]
    # Small frames are enlarged, for text to find room.
    assert (picture.step, picture.width, picture.height) == (2, 512, 256)
    assert "streets val" in (tmp_path / "report" / "streets" / "report.html").read_text()
    assert json.loads((tmp_path / "report" / "streets" / "figures.json").read_text())["pq"] >= 0
    assert "By class" in caplog.text


def test_a_dataset_without_validation_part_gets_no_report(tmp_path, cityscapes_root, caplog):
    raw = small_config(tmp_path / "out", iterations=1, report_frames=2)
    raw["datasets"] = {"town": {"kind": "cityscapes", "root": str(cityscapes_root)}}
    train(config_from_dict(raw), CPU)
    assert "no report on town" in caplog.text
    assert "leftImg8bit/val does not exist" in caplog.text


def test_the_report_may_be_about_what_was_learned(tmp_path, cityscapes_root, caplog):
    caplog.set_level("INFO", logger="training")
    raw = small_config(tmp_path / "out", iterations=1, report_frames=2, report_split="train")
    raw["datasets"] = {"town": {"kind": "cityscapes", "root": str(cityscapes_root)}}
    train(config_from_dict(raw), CPU)
    assert "after 1 steps on town train" in caplog.text
    assert (tmp_path / "out" / "report" / "town" / "figures.json").exists()


def test_a_kill_at_any_moment_changes_nothing(tmp_path):
    steps = {"iterations": 12, "checkpoint_minutes": 0.0}
    train(config_from_dict(small_config(tmp_path / "unbroken", **steps)), CPU)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(small_config(tmp_path / "killed", **steps)))
    command = [sys.executable, "-m", "training.train", "--config", str(path), "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for(tmp_path / "killed" / FILE_NAME, process)
        # Somewhere in the next steps and saves, another place each time.
        time.sleep(random.random())
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert 0 < state_of(tmp_path / "killed")["step"] < 12
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=240)
    unbroken, killed = state_of(tmp_path / "unbroken"), state_of(tmp_path / "killed")
    assert killed["step"] == 12
    assert_same_weights(unbroken["network"], killed["network"])
    assert_same_weights(unbroken["ema"], killed["ema"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_saves_and_stops(tmp_path, number):
    raw = small_config(tmp_path / "run", iterations=500, workers=1, checkpoint_minutes=60)
    # Drawing is slower than training: the signal finds the step waiting for its worker.
    raw["datasets"]["streets"] = {"kind": "streets", "size": [256, 512]}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    command = [sys.executable, "-m", "training.train", "--config", str(path), "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    # Of its own, as timeout and terminals make one.
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "step 2/500 " in line:
                break
        os.killpg(process.pid, number)
        said = process.stderr.read()
        assert process.wait(timeout=120) == 0, said
    finally:
        process.kill()
        process.wait()
    assert "saving and stopping after this step" in said
    assert "Traceback" not in said
    assert 2 <= state_of(tmp_path / "run")["step"] < 500


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_loss_that_is_not_finite_stops_with_the_batch_saved(tmp_path, monkeypatch):
    config = config_from_dict(small_config(tmp_path))
    original = train_module.Trainer.losses

    def broken(trainer, batch):
        total, losses = original(trainer, batch)
        return total * float("nan"), losses

    monkeypatch.setattr(train_module.Trainer, "losses", broken)
    with pytest.raises(LossNotFiniteError, match=r"step 0 \(semantic .*bad_batch_rank0\.pt"):
        train(config, CPU)
    saved = torch.load(tmp_path / "bad_batch_rank0.pt", weights_only=True)
    assert saved["batch"]["image"].shape == (2, 3, 64, 96)
    assert not (tmp_path / FILE_NAME).exists()


def test_a_damaged_state_is_one_error(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"not a state")
    with pytest.raises(RunStateError, match="delete it to start anew"):
        train(config_from_dict(small_config(tmp_path)), CPU)


def test_accumulation_equals_one_large_batch(tmp_path):
    # Frozen statistics and all pixels: then nothing but rounding depends on the split, except
    # where a loss divides by the labelled pixels of a batch.
    def run(name: str, accumulate: int) -> dict:
        raw = small_config(
            tmp_path / name, iterations=1, freeze_norm_after=0, accumulate=accumulate
        )
        raw["loss"] = {"hard_pixel_fraction": 1.0, "center": 0.0, "offset": 0.0, "depth": 0.0}
        raw["model"]["network"] = {"dropout": 0.0}
        raw["optimizer"]["name"] = "adam"
        train(config_from_dict(raw), CPU)
        return state_of(tmp_path / name)["optimizer"]["state"]

    whole, parts = run("whole", 1), run("parts", 2)
    for key, value in whole.items():
        torch.testing.assert_close(value["exp_avg"], parts[key]["exp_avg"], atol=1e-6, rtol=1e-3)


def test_norms_keep_their_statistics_from_a_share_of_the_iterations_on(tmp_path):
    def statistics(iterations: int, share: float) -> dict:
        folder = tmp_path / f"{iterations} {share}"
        raw = small_config(folder, iterations=iterations, freeze_norm_after=share)
        train(config_from_dict(raw), CPU)
        weights = state_of(folder)["network"]
        return {key: weights[key] for key in weights if key.endswith("running_var")}

    def moved(one: dict, other: dict) -> bool:
        assert one.keys() == other.keys() != set()
        return any(not torch.equal(one[key], other[key]) for key in one)

    after_none, after_one = statistics(2, 0), statistics(2, 0.5)
    assert all((value == 1).all() for value in after_none.values())
    assert moved(after_none, after_one)
    assert not moved(after_one, statistics(1, 1))
    assert moved(after_one, statistics(2, 1))


def test_the_share_of_iterations_with_moving_statistics_is_checked(tmp_path):
    raw = small_config(tmp_path, freeze_norm_after=1.5)
    with pytest.raises(ConfigError, match=r"freeze_norm_after: got 1.5, expected 0 to 1"):
        config_from_dict(raw)


def test_task_weights_are_learned_and_saved(tmp_path):
    raw = small_config(tmp_path, iterations=2)
    raw["loss"]["learned_weights"] = True
    train(config_from_dict(raw), CPU)
    weights = state_of(tmp_path)["task_weights"]
    assert len(weights) == 4
    assert all(value != 0 for value in weights.values())


def test_two_processes_equal_one(tmp_path):
    def config(name: str) -> dict:
        # Batch norm over few values multiplies rounding errors; test_collective.py has that.
        raw = small_config(tmp_path / name, iterations=1, freeze_norm_after=0)
        raw["model"]["network"] = {"dropout": 0.0}
        return raw

    train(config_from_dict(config("one")), CPU)
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(config("two")))
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
    ]
    command = [*launcher, "-m", "training.train", "--config", str(path), "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=240)
    # Only the first process speaks.
    assert run.stderr.count(b"step 1/1 ") == 1
    one, two = (moments(state_of(tmp_path / name)) for name in ("one", "two"))
    for key in ("exp_avg", "exp_avg_sq"):
        assert (one[key] - two[key]).norm() <= 1e-5 * one[key].norm()


def moments(state: dict) -> dict[str, torch.Tensor]:
    """Adam's moments after one step: a tenth of the gradient, and a thousandth of its square."""
    values = state["optimizer"]["state"].values()
    return {
        key: torch.cat([value[key].flatten() for value in values])
        for key in ("exp_avg", "exp_avg_sq")
    }


def test_the_command_line_reports_mistakes_in_one_line(tmp_path, capsys):
    path = tmp_path / "config.yaml"
    raw = small_config(tmp_path / "out")
    raw["datasets"] = {"streets": {"kind": "cityscapes", "root": str(tmp_path / "nowhere")}}
    path.write_text(yaml.safe_dump(raw))
    assert main(["--config", str(path), "--device", "cpu"]) == 1
    assert "nowhere does not exist" in capsys.readouterr().err
    assert main(["--config", str(path), "--set", "loop.speed=9", "--device", "cpu"]) == 1
    assert "loop.speed: unknown key" in capsys.readouterr().err


def test_a_file_that_a_worker_misses_is_one_line(tmp_path, cityscapes_root, capsys):
    # All but the first, which is opened before there are workers.
    for labels in sorted(cityscapes_root.glob("gtFine/cityscapes_panoptic_train/*.png"))[1:]:
        labels.unlink()
    raw = small_config(tmp_path / "out", workers=1)
    raw["datasets"] = {"town": {"kind": "cityscapes", "root": str(cityscapes_root)}}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    assert main(["--config", str(path), "--device", "cpu"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("error: ")
    assert ".png does not exist. " in lines[-1]
    assert not any("Traceback" in line for line in lines)


def test_a_batch_that_cannot_be_shared_is_one_line(tmp_path):
    raw = small_config(tmp_path, accumulate=3)
    with pytest.raises(ConfigError, match=r"loop\.batch_size: got 2, expected a multiple"):
        train(config_from_dict(raw), CPU)


@pytest.mark.parametrize(
    ("name", "rank", "world_size", "expected"),
    [
        ("cpu", 0, 1, "cpu"),
        ("cuda", 0, 1, "cuda:0"),
        ("cuda:1", 0, 1, "cuda:1"),
        ("cuda", 3, 4, "cuda:3"),
        ("cuda:0", 3, 4, "cuda:3"),
    ],
)
def test_each_process_has_its_own_gpu(name, rank, world_size, expected):
    collective = Collective(rank=rank, local_rank=rank, world_size=world_size)
    assert own_device(torch.device(name), collective) == torch.device(expected)


def test_the_report_is_about_each_whole_frame_once(tmp_path, cityscapes_root, monkeypatch):
    opened = []
    build = final_report.build_dataset

    def noted(name, config):
        opened.append(build(name, config))
        return opened[-1]

    monkeypatch.setattr(final_report, "build_dataset", noted)
    raw = small_config(tmp_path, iterations=1, report_frames=50, report_split="train")
    reduced = {"repeat_threshold": 1.0, "max_width": 64}
    raw["datasets"] = {
        "town": {"kind": "cityscapes", "root": str(cityscapes_root), **reduced},
        "real": {
            "kind": "lidar",
            "root": str(write_lidar_frames(tmp_path / "real", 3)),
            "split": "val",
            "only": [0, 2],
            "weight": 0,
            "validate": True,
        },
    }
    train(config_from_dict(raw), CPU)
    plain = CityscapesLayout(cityscapes_root, "train")
    assert len(opened[0]) == len(plain)
    assert opened[0][0].image.shape == plain[0].image.shape
    # A dataset without parts: its frames are those that were named.
    assert [frame.name for frame in (opened[1][0], opened[1][1])] == ["0", "2"]


def write_lidar_frames(folder: Path, count: int) -> Path:
    folder.mkdir()
    frames = []
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), np.zeros((64, 96, 3), np.uint8))
        np.savez(folder / f"{number}.npz", depth=np.ones((64, 96), np.float32))
        names = {"image": f"{number}.png", "depth": f"{number}.npz"}
        frames.append({**names, "K": [50.0, 50.0, 48.0, 32.0]})
    (folder / "index.json").write_text(json.dumps(frames))
    return folder


def test_only_the_traceback_of_a_worker_is_cut_off():
    assert message_of(DatasetError("two\nlines")) == "two\nlines"


def test_changed_entries_are_listed_by_path(tmp_path):
    config = config_from_dict(small_config(tmp_path))
    changed = replace(config, optimizer=replace(config.optimizer, lr=0.5))
    assert isinstance(changed, TrainConfig)
    assert changed_entries(config.to_dict(), changed.to_dict()) == ["optimizer.lr: 0.001 -> 0.5"]
