# SPDX-License-Identifier: Apache-2.0
"""A mistake in a run's configuration or files is one line."""

from __future__ import annotations

import pytest
import torch
import yaml

from depthlab_core.checkpoint import save_checkpoint
from depthlab_core.labels import CITYSCAPES
from depthlab_core.model_zoo import MODELS
from depthlab_core.network import build_network
from training.config import ConfigError
from training.config_file import config_from_dict
from training.datasets.sample import DatasetError
from training.loader import message_of
from training.run_state import FILE_NAME, RunStateError, load_run_state, save_atomically
from training.train import main, train, train_step
from training.trainer import initial_network

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


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, {"config": 5}])
def test_another_file_of_torch_is_no_state(tmp_path, content):
    path = tmp_path / FILE_NAME
    torch.save(content, path)
    with pytest.raises(RunStateError, match=r"is no state of a run; delete it to start anew"):
        load_run_state(path, CPU)
    assert torch.load(path) == content


def test_half_a_state_is_one_line(tmp_path):
    path = tmp_path / FILE_NAME
    torch.save({"config": {}, "network": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(RunStateError, match="delete it to start anew") as error:
        load_run_state(path, CPU)
    assert "\n" not in str(error.value)


def test_a_damaged_file_costs_no_steps(tmp_path, camvid_root, small_config, monkeypatch):
    def step(trainer, batches, *rest):
        if trainer.step == 1:
            raise DatasetError("damaged")
        return train_step(trainer, batches, *rest)

    monkeypatch.setattr("training.train.train_step", step)
    raw = small_config(tmp_path / "out")
    raw["datasets"] = {"camvid": {"kind": "camvid", "root": str(camvid_root)}}
    with pytest.raises(DatasetError, match="damaged"):
        train(config_from_dict(raw), CPU)
    assert load_run_state(tmp_path / "out" / FILE_NAME, CPU)["step"] == 1


@pytest.mark.parametrize(
    ("name", "in_its_way"),
    [(FILE_NAME, f"{FILE_NAME}.part"), ("model.safetensors", "model.safetensors")],
)
def test_a_state_that_cannot_be_written_is_one_line(
    tmp_path, capsys, small_config, name, in_its_way
):
    path, output = tmp_path / "config.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(small_config(output, iterations=1)))
    (output / in_its_way).mkdir(parents=True)
    assert main(["--config", str(path), "--device", "cpu"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"error: {output / name}: cannot be written (Is a directory)"


def test_a_full_disk_is_one_line_and_spares_what_was_there(tmp_path):
    path = tmp_path / FILE_NAME
    save_atomically({"step": 1}, path)
    (tmp_path / f"{FILE_NAME}.part").symlink_to("/dev/full")
    with pytest.raises(RunStateError, match=rf"{FILE_NAME}: cannot be written \(No space left"):
        save_atomically({"network": torch.zeros(100_000)}, path)
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE_NAME]
    assert torch.load(path) == {"step": 1}


def test_an_output_that_cannot_be_made_is_one_line(tmp_path, capsys, small_config):
    (tmp_path / "file").touch()
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(small_config(tmp_path / "file")))
    assert main(["--config", str(path), "--device", "cpu"]) == 1
    expected = f"error: output: got '{tmp_path / 'file'}', expected a folder that can be made"
    assert capsys.readouterr().err.startswith(expected)


def test_weights_of_another_network_are_one_line(tmp_path, small_config):
    path = tmp_path / "other.safetensors"
    model = MODELS["r50_light"]
    save_checkpoint(path, build_network(model.network).state_dict(), model, CITYSCAPES, {})
    raw = small_config(tmp_path / "out")
    raw["init"] = {"checkpoint": str(path)}
    with pytest.raises(RunStateError, match=r"^init\.checkpoint: Error\(s\) in loading") as error:
        initial_network(config_from_dict(raw))
    assert len(str(error.value)) < 400
    assert "\n" not in str(error.value)


def test_only_the_traceback_of_a_worker_is_cut_off():
    assert message_of(DatasetError("two\nlines")) == "two\nlines"
