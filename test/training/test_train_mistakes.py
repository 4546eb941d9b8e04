# SPDX-License-Identifier: Apache-2.0
"""A mistake in a run's configuration or files is one line."""

from __future__ import annotations

import pytest
import torch
import yaml

from training.config import ConfigError
from training.config_file import config_from_dict
from training.datasets.sample import DatasetError
from training.loader import message_of
from training.run_state import FILE_NAME, RunStateError
from training.train import main, train

CPU = torch.device("cpu")


def test_the_command_line_reports_mistakes_in_one_line(tmp_path, capsys, small_config):
    path = tmp_path / "config.yaml"
    raw = small_config(tmp_path / "out")
    raw["datasets"] = {"streets": {"kind": "cityscapes", "root": str(tmp_path / "nowhere")}}
    path.write_text(yaml.safe_dump(raw))
    assert main(["--config", str(path), "--device", "cpu"]) == 1
    assert "nowhere does not exist" in capsys.readouterr().err
    assert main(["--config", str(path), "--set", "loop.speed=9", "--device", "cpu"]) == 1
    assert "loop.speed: unknown key" in capsys.readouterr().err


def test_mistakes_can_be_looked_for_without_training(tmp_path, capsys, small_config):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(small_config(tmp_path / "out")))
    arguments = ["--config", str(path), "--device", "cpu", "--check"]
    assert main(arguments) == 0
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "--set", "loop.speed=9"]) == 1
    assert capsys.readouterr().err.startswith("error: loop.speed: unknown key, expected one of ")


def test_a_file_that_a_worker_misses_is_one_line(tmp_path, cityscapes_root, capsys, small_config):
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


def test_a_batch_that_cannot_be_shared_is_one_line(tmp_path, small_config):
    raw = small_config(tmp_path, accumulate=3)
    with pytest.raises(ConfigError, match=r"loop\.batch_size: got 2, expected a multiple"):
        train(config_from_dict(raw), CPU)


def test_the_share_of_iterations_with_moving_statistics_is_checked(tmp_path, small_config):
    raw = small_config(tmp_path, freeze_norm_after=1.5)
    with pytest.raises(ConfigError, match=r"freeze_norm_after: got 1.5, expected 0 to 1"):
        config_from_dict(raw)


def test_a_damaged_state_is_one_error(tmp_path, small_config):
    (tmp_path / FILE_NAME).write_bytes(b"not a state")
    with pytest.raises(RunStateError, match="delete it to start anew"):
        train(config_from_dict(small_config(tmp_path)), CPU)


def test_only_the_traceback_of_a_worker_is_cut_off():
    assert message_of(DatasetError("two\nlines")) == "two\nlines"
