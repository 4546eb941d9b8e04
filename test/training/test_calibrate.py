# SPDX-License-Identifier: Apache-2.0
"""Calibration finds what makes a class too frequent, and changes nothing else."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from depthlab_core.checkpoint import load_checkpoint, save_checkpoint
from depthlab_core.labels import CITYSCAPES
from depthlab_core.model_zoo import MODELS
from depthlab_core.network import build_network
from training.calibrate import Labelled, calibrate, collect, main
from training.class_bias import CLASS_BIAS
from training.datasets.sample import DatasetError

CAR, PERSON = 13, 11


@pytest.fixture
def pixels() -> Labelled:
    """Pixels of 19 classes whose logits, with noise, are right on average."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.arange(19).repeat_interleave(400)
    logits = torch.randn(len(truth), 19, generator=generator)
    logits[torch.arange(len(truth)), truth] += 2.5
    return Labelled(logits, truth, torch.arange(19), 19)


def shifted(pixels: Labelled, **shifts: float) -> Labelled:
    names = [category.name for category in CITYSCAPES.categories]
    bias = torch.zeros(19)
    for name, shift in shifts.items():
        bias[names.index(name)] = shift
    return Labelled(pixels.logits + bias, pixels.truth, pixels.class_of, pixels.classes)


def test_shifts_are_undone(pixels):
    spoilt = shifted(pixels, car=2.0, person=-1.5)
    before, best = spoilt.miou(torch.zeros(19)), pixels.miou(torch.zeros(19))
    bias = calibrate([spoilt])
    # Which of all biases is called 0 does not matter.
    relative = bias - bias.median()
    assert relative[CAR] == pytest.approx(-2.0, abs=0.5)
    assert relative[PERSON] == pytest.approx(1.5, abs=0.5)
    others = [index for index in range(19) if index not in (CAR, PERSON)]
    assert relative[others].abs().max() <= 0.5
    assert before < best - 0.02
    assert spoilt.miou(bias) > best - 0.005


def test_what_cannot_be_better_is_left_alone():
    truth = torch.arange(19).repeat(5)
    perfect = torch.nn.functional.one_hot(truth, 19).float() * 9
    assert not calibrate([Labelled(perfect, truth, torch.arange(19), 19)]).any()


def test_miou_counts_coarse_classes_and_those_predicted_in_vain():
    # Categories 0 and 1 are the data set's class 0, category 2 is its class 1.
    class_of = torch.tensor([0, 0, 1])
    logits = torch.tensor([[3.0, 0, 0], [0, 3, 0], [0, 0, 3], [0, 0, 3]])
    part = Labelled(logits, torch.tensor([0, 0, 0, 1]), class_of, 2)
    assert part.miou(torch.zeros(3)) == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert part.miou(torch.tensor([9.0, 0, 0])) == pytest.approx((3 / 4 + 0) / 2)


def test_the_command_changes_the_biases_alone(tmp_path, camvid_root, capsys):
    torch.manual_seed(0)
    source = tmp_path / "model.safetensors"
    state = build_network(MODELS["lite0"].network).state_dict()
    state[CLASS_BIAS][16] = 0.75  # all is a train
    save_checkpoint(source, state, MODELS["lite0"], CITYSCAPES, {"note": "test"}, half=True)
    shutil.copytree(camvid_root / "train", camvid_root / "val")
    for file in (camvid_root / "train").iterdir():
        shutil.copy(file, camvid_root / "val" / f"again_{file.name}")
    target = tmp_path / "new" / "calibrated.safetensors"
    arguments = ["--checkpoint", str(source), "--out", str(target)]
    assert main([*arguments, "--dataset", f"camvid={camvid_root}"]) == 0
    before, after = load_checkpoint(source), load_checkpoint(target)
    changed = {
        key
        for key, value in after.network.state_dict().items()
        if not torch.equal(value, before.network.state_dict()[key])
    }
    assert changed == {CLASS_BIAS}
    assert after.provenance["calibration"]["road"] > 0
    assert after.provenance["note"] == "test"
    assert after.config == before.config
    said = capsys.readouterr().out
    earlier, later = said.split("mIoU ")[1].split(" -> ")
    assert float(later) > float(earlier)


def test_frames_that_cannot_be_compared_are_named(street_samples):
    checkpoint, (one, two) = load_checkpoint("lite0"), street_samples[:2]
    void = np.full_like(two.panoptic, -1)
    with pytest.raises(DatasetError, match=f"^{one.name}: panoptic: got .* as its image has$"):
        collect(checkpoint, [replace(one, panoptic=one.panoptic.T), two])
    with pytest.raises(DatasetError, match=r"^calibration: got no labelled pixel in the odd f"):
        collect(checkpoint, [one, replace(two, panoptic=void)])
    other = replace(checkpoint, labels=replace(CITYSCAPES, name="indoor"))
    with pytest.raises(DatasetError, match=f"^{one.name}: .* got 'indoor', expected 'cityscapes'"):
        collect(other, [one, two])


def test_depth_is_not_asked_for(tmp_path, cityscapes_root, capsys):
    for folder in ("disparity", "camera"):
        shutil.rmtree(cityscapes_root / folder)
    shutil.copytree(cityscapes_root / "leftImg8bit/train", cityscapes_root / "leftImg8bit/val")
    labels = cityscapes_root / "gtFine" / "cityscapes_panoptic_train"
    shutil.copytree(labels, labels.with_name("cityscapes_panoptic_val"))
    shutil.copy(labels.with_suffix(".json"), labels.with_name("cityscapes_panoptic_val.json"))
    target = tmp_path / "calibrated.safetensors"
    arguments = ["--checkpoint", "lite0", "--out", str(target)]
    assert main([*arguments, "--dataset", f"cityscapes={cityscapes_root}"]) == 0
    assert "odd frames: mIoU 0." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("camvid", "--dataset: got 'camvid', expected KIND=FOLDER"),
        ("camvid=nowhere", "nowhere"),
    ],
)
def test_mistakes_are_one_line(tmp_path, capsys, dataset, message):
    arguments = ["--checkpoint", "lite0", "--out", str(tmp_path / "x"), "--dataset", dataset]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
