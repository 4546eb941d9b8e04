# SPDX-License-Identifier: Apache-2.0
"""Batches in parts and batches of several processes give the gradients of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from training.collective import Collective
from training.config_file import config_from_dict
from training.run_state import FILE_NAME
from training.train import own_device, train

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


def state_of(folder: Path) -> dict:
    return torch.load(folder / FILE_NAME, weights_only=True)


def test_accumulation_equals_one_large_batch(tmp_path, small_config):
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


def test_two_processes_equal_one(tmp_path, small_config):
    def config(name: str) -> dict:
        # Batch norm over few values multiplies rounding errors; test_collective.py has that.
        raw = small_config(tmp_path / name, iterations=1, freeze_norm_after=0)
        raw["model"]["network"] = {"dropout": 0.0}
        return raw

    train(config_from_dict(config("one")), CPU)
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(config("two")))
    run = run_two(["-m", "training.train", "--config", str(path), "--device", "cpu"])
    assert run.returncode == 0
    # Only the first process speaks.
    assert run.stderr.count(b"step 1/1 ") == 1
    one, two = (moments(state_of(tmp_path / name)) for name in ("one", "two"))
    for key in ("exp_avg", "exp_avg_sq"):
        assert (one[key] - two[key]).norm() <= 1e-5 * one[key].norm()


def test_a_process_that_cannot_load_its_part_costs_no_steps(tmp_path, small_config):
    # The second process's: the first, which saves, would wait for its gradients and be killed.
    path, script = tmp_path / "config.yaml", tmp_path / "damaged.py"
    path.write_text(yaml.safe_dump(small_config(tmp_path / "out")))
    script.write_text(_DAMAGED_IN_THE_SECOND)
    run = run_two([str(script), "--config", str(path), "--device", "cpu"])
    assert run.returncode != 0
    assert b"error: another process could not load its part of a batch\n" in run.stderr
    assert b"error: damaged\n" in run.stderr
    assert state_of(tmp_path / "out")["step"] == 1


_DAMAGED_IN_THE_SECOND = """
import os, sys
import training.train
from training.datasets.sample import DatasetError

class Damaged:
    def __init__(self, loader):
        self._loader = loader

    def __iter__(self):
        yield next(iter(self._loader))
        raise DatasetError("damaged")

if os.environ["RANK"] == "1":
    build = training.train.build_loader
    training.train.build_loader = lambda trainer: Damaged(build(trainer))
sys.exit(training.train.main())
"""


def run_two(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Run what follows ``python`` in two processes of a group."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *launcher, *command],
        env=environment,
        check=False,
        capture_output=True,
        timeout=240,
    )


def moments(state: dict) -> dict[str, torch.Tensor]:
    """Adam's moments after one step: a tenth of the gradient, and a thousandth of its square."""
    values = state["optimizer"]["state"].values()
    return {
        key: torch.cat([value[key].flatten() for value in values])
        for key in ("exp_avg", "exp_avg_sq")
    }


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
