# SPDX-License-Identifier: Apache-2.0
"""A run becomes the checkpoint that ships, alone or averaged with the weights it started from."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from depthlab_core.checkpoint import load_checkpoint, save_checkpoint
from depthlab_core.labels import CITYSCAPES
from depthlab_core.model_zoo import MODELS
from depthlab_core.network import build_network
from training.bundle import bundle, main
from training.class_bias import undo_loss_weights
from training.run_state import FILE_NAME, save_atomically


@pytest.fixture
def run(tmp_path):
    """A run's folder whose averaged weights are known."""
    folder = tmp_path / "run"
    folder.mkdir()
    weights = {key: value + 1 for key, value in build_network("lite0").state_dict().items()}
    config = {
        "model": {"network": MODELS["lite0"].to_dict()["network"]},
        "loop": {"batch_size": 8},
        "targets": {"class_weights": [1.0] * 5 + [4.0] + [1.0] * 13, "small_instance_weight": 2.0},
        "datasets": {"streets": {"weight": 1.0}, "unused": {"weight": 0.0}},
    }
    state = {"step": 7, "ema": weights, "network": {}, "config": config}
    save_atomically(state, folder / FILE_NAME)
    return folder, weights


def test_the_averaged_weights_are_taken(run, tmp_path):
    folder, weights = run
    checkpoint = load_checkpoint(bundle(folder, "lite0", tmp_path, "a note"))
    for key, value in checkpoint.network.state_dict().items():
        torch.testing.assert_close(value, weights[key], rtol=1e-3, atol=1e-3)
    known = checkpoint.provenance
    assert (known["steps"], known["datasets"], known["note"]) == (7, ["streets"], "a note")
    assert known["earlier"] is None
    assert checkpoint.config.input == MODELS["lite0"].input


def test_earlier_weights_have_their_share(run, tmp_path):
    folder, weights = run
    earlier = tmp_path / "earlier.safetensors"
    others = {key: value - 4 for key, value in weights.items()}
    save_checkpoint(earlier, others, MODELS["lite0"], CITYSCAPES, {"commit": "abc"})
    arguments = ["--run", str(folder), "--name", "lite0", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--earlier", str(earlier), "--share", "0.25"]) == 0
    mixed = load_checkpoint(tmp_path / "out" / "lite0.safetensors")
    assert mixed.provenance["earlier"] == {"share": 0.25, "provenance": {"commit": "abc"}}
    for key, value in mixed.network.state_dict().items():
        expected = weights[key] - 1 if value.is_floating_point() else weights[key]
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=2e-3)


def test_weights_of_the_loss_are_taken_back_from_the_logits(run, tmp_path):
    folder, weights = run
    arguments = ["--run", str(folder), "--name", "lite0", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--undo-weights", "0.5"]) == 0
    checkpoint = load_checkpoint(tmp_path / "out" / "lite0.safetensors")
    got = checkpoint.network.state_dict()
    change = got["sem_seg_head.predictor.bias"] - weights["sem_seg_head.predictor.bias"]
    # Half the logarithm: poles weigh 4, things 2, all others 1.
    expected = -torch.tensor([1.0] * 5 + [2.0] + [1.0] * 5 + [2**0.5] * 8).log()
    torch.testing.assert_close(change, expected, rtol=0, atol=2e-3)
    name = "depth_head.predictor.bias"
    torch.testing.assert_close(got[name], weights[name], rtol=1e-3, atol=1e-3)
    assert checkpoint.provenance["undone_loss_weights"] == 0.5


def test_no_class_weights_leave_stuff_alone():
    change = undo_loss_weights({"class_weights": None, "small_instance_weight": 3.0}, 1.0)
    assert (change[:11] == 0).all()
    torch.testing.assert_close(change[11:], torch.full((8,), -math.log(3.0)))


def test_classes_of_no_weight_keep_their_logit():
    weights = [0.0] + [2.0] * 18
    change = undo_loss_weights({"class_weights": weights, "small_instance_weight": 0.0}, 1.0)
    expected = torch.tensor([0.0] + [-math.log(2.0)] * 10 + [0.0] * 8)
    torch.testing.assert_close(change, expected)


@pytest.mark.parametrize("option", ["--share", "--undo-weights"])
@pytest.mark.parametrize("value", ["-0.1", "1.5", "nan"])
def test_shares_are_from_0_to_1(run, capsys, option, value):
    with pytest.raises(SystemExit):
        main(["--run", str(run[0]), "--name", "lite0", f"{option}={value}"])
    assert f"argument {option}: got '{value}', expected 0 to 1" in capsys.readouterr().err


def test_weights_of_another_network_are_not_averaged(run, tmp_path, capsys):
    network = MODELS["lite0"].network
    other = replace(network, depth=replace(network.depth, canonical_focal_length=400.0))
    path = tmp_path / "other.safetensors"
    model = replace(MODELS["lite0"], network=other)
    save_checkpoint(path, build_network(other).state_dict(), model, CITYSCAPES, {})
    arguments = ["--run", str(run[0]), "--name", "lite0", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--earlier", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.endswith("other.safetensors: got another network than lite0's\n")
    assert error.count("\n") == 1


def test_mistakes_are_one_line(run, tmp_path, capsys):
    arguments = ["--name", "lite0", "--out", str(tmp_path)]
    assert main([*arguments, "--run", str(tmp_path / "none")]) == 1
    assert main([*arguments, "--run", str(run[0]), "--earlier", "none"]) == 1
    assert capsys.readouterr().err.count("\n") == 2


def test_weights_that_float16_does_not_hold_are_one_line(run, tmp_path, capsys):
    folder, weights = run
    key = "sem_seg_head.predictor.bias"
    state = torch.load(folder / FILE_NAME)
    save_atomically({**state, "ema": {**weights, key: weights[key] + 1e6}}, folder / FILE_NAME)
    assert main(["--run", str(folder), "--name", "lite0", "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {key}: got 1000001")
    assert error.endswith("expected values up to 65504, the largest float16\n")
    assert not list((tmp_path / "out").iterdir())
