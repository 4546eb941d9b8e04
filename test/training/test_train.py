# SPDX-License-Identifier: Apache-2.0
"""The loop resumes exactly, and stops when asked or when the loss breaks."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

import training.train as train_module
from depthlab_core.checkpoint import load_checkpoint
from training.config import TrainConfig
from training.config_file import config_from_dict
from training.run_state import FILE_NAME, changed_entries
from training.train import LossNotFiniteError, train
from training.trainer import Trainer

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


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


def test_resuming_gives_the_same_weights_as_an_unbroken_run(tmp_path, monkeypatch, small_config):
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


def test_a_second_signal_does_not_end_the_save_that_the_first_asked_for(
    tmp_path, monkeypatch, small_config
):
    save = Trainer.save

    def disturbed(trainer):
        os.kill(os.getpid(), signal.SIGTERM)
        save(trainer)

    monkeypatch.setattr(Trainer, "save", disturbed)
    missed = []
    previous = signal.signal(signal.SIGTERM, lambda *signalled: missed.append(signalled))
    try:
        train(config_from_dict(small_config(tmp_path, iterations=1)), CPU)
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert missed == []
    assert state_of(tmp_path)["step"] == 1


def test_the_exported_checkpoint_holds_the_averaged_weights(tmp_path, small_config):
    train(config_from_dict(small_config(tmp_path, iterations=1)), CPU)
    checkpoint = load_checkpoint(tmp_path / "model.safetensors")
    assert checkpoint.provenance["steps"] == 1
    assert_same_weights(state_of(tmp_path)["ema"], checkpoint.network.state_dict())
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["loop"]["iterations"] == 1


def test_a_kill_at_any_moment_changes_nothing(tmp_path, small_config):
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
def test_a_signal_to_the_whole_group_saves_and_stops(tmp_path, number, small_config):
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


def test_a_loss_that_is_not_finite_stops_with_the_batch_saved(tmp_path, monkeypatch, small_config):
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


def test_norms_keep_their_statistics_from_a_share_of_the_iterations_on(tmp_path, small_config):
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


def test_task_weights_are_learned_and_saved(tmp_path, small_config):
    raw = small_config(tmp_path, iterations=2)
    raw["loss"]["learned_weights"] = True
    train(config_from_dict(raw), CPU)
    weights = state_of(tmp_path)["task_weights"]
    assert len(weights) == 4
    assert all(value != 0 for value in weights.values())


def test_changed_entries_are_listed_by_path(tmp_path, small_config):
    config = config_from_dict(small_config(tmp_path))
    changed = replace(config, optimizer=replace(config.optimizer, lr=0.5))
    assert isinstance(changed, TrainConfig)
    assert changed_entries(config.to_dict(), changed.to_dict()) == ["optimizer.lr: 0.001 -> 0.5"]
