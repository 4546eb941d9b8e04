# SPDX-License-Identifier: Apache-2.0
"""The teacher labels what nobody labelled, where it is sure, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from depthlab_core.network import ModelOutput
from training.config import ConfigError
from training.config_file import config_from_dict
from training.loader import build_loader
from training.losses import BatchTargets
from training.self_training import SelfTrainingConfig, pseudo_label
from training.train import train
from training.trainer import Trainer

IGNORE = 255
SURE, UNSURE = 10.0, 1.0


def targets(*semantic: int) -> BatchTargets:
    """Return targets of 8 x 16 pixels; each image has one class all over."""
    shape = (len(semantic), 8, 16)
    label = torch.tensor(semantic, dtype=torch.uint8)[:, None, None].expand(shape).clone()
    ones, plane = torch.ones(shape), torch.zeros(shape)[:, None]
    two = plane.expand(-1, 2, -1, -1)
    return BatchTargets(label, ones, plane, plane, two, plane, plane[:, 0], ones)


def teacher(images: torch.Tensor) -> ModelOutput:
    """Answer class 3 on the left, surely, and class 5 on the right, unsurely; see the mean."""
    assert images.shape[1:] == (3, 8, 16)
    logits = torch.zeros(len(images), 19, 2, 4)
    logits[:, 3, :, :2] = SURE
    logits[:, 5, :, 2:] = UNSURE
    return ModelOutput(logits, logits[:, :1], logits[:, :2], logits[:, :1])


def test_only_unlabelled_images_are_labelled_and_only_where_the_teacher_is_sure():
    given = targets(7, IGNORE)
    made = pseudo_label(given, torch.zeros(2, 3, 8, 16), teacher, SelfTrainingConfig())
    torch.testing.assert_close(made.semantic[0], given.semantic[0])
    torch.testing.assert_close(made.semantic_weight[0], given.semantic_weight[0])
    assert (made.semantic[1, :, :6] == 3).all()
    assert (made.semantic[1, :, 10:] == IGNORE).all()
    share = (made.semantic[1] == 3).float().mean()
    assert 0.4 < share < 0.6
    torch.testing.assert_close(made.semantic_weight[1], share.expand(8, 16))
    assert made.depth is given.depth
    assert made.offset_weight is given.offset_weight


def test_a_partly_labelled_image_keeps_its_holes():
    given = targets(7)
    given.semantic[0, :, :8] = IGNORE
    assert pseudo_label(given, torch.zeros(1, 3, 8, 16), teacher, SelfTrainingConfig()) is given


def settings(tmp_path, **changes):
    folder = tmp_path / "frames"
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3)).astype(np.uint8)
    cv2.imwrite(str(folder / "a.png"), noise)
    return config_from_dict(
        {
            "output": str(tmp_path / "run"),
            "model": {"name": "lite0"},
            "datasets": {"drive": {"kind": "footage", "root": str(folder)}},
            "augment": {"crop": [64, 96], "brightness": 0.5, "flip": 0.5},
            "self_training": {"confidence": 0.01},
            "loop": {"iterations": 2, "batch_size": 2, "workers": 0, "threads": 1}
            | {"ema_decay": 0.5, "report_frames": 0, "tensorboard": False},
            **changes,
        }
    )


def test_the_teacher_sees_the_same_view_in_its_own_colours(tmp_path):
    config = settings(tmp_path, augment={"crop": [64, 96], "brightness": 0.5})
    batch = next(iter(build_loader(Trainer(config, torch.device("cpu")))))
    plain, changed = batch["plain_image"].float(), batch["image"].float()
    assert not torch.equal(plain, changed)
    for pair in zip(plain, changed, strict=True):
        assert torch.corrcoef(torch.stack([image.flatten() for image in pair]))[0, 1] > 0.95


def test_training_learns_from_footage_alone(tmp_path):
    trainer = train(settings(tmp_path), torch.device("cpu"))
    assert trainer.step == 2
    batch = next(iter(build_loader(Trainer(settings(tmp_path / "b"), torch.device("cpu")))))
    _, losses = trainer.losses(batch)
    assert losses["semantic"] > 0
    assert losses["center"] == losses["offset"] == losses["depth"] == 0


def test_nothing_is_labelled_before_the_start(tmp_path):
    config = settings(tmp_path, self_training={"confidence": 0.01, "start": 5})
    trainer = Trainer(config, torch.device("cpu"))
    _, losses = trainer.losses(next(iter(build_loader(trainer))))
    assert losses["semantic"] == 0


def test_a_teacher_needs_averaged_weights(tmp_path):
    with pytest.raises(ConfigError, match=r"self_training: got loop\.ema_decay 0"):
        settings(tmp_path, loop={"ema_decay": 0.0})


def test_impossible_confidence():
    with pytest.raises(ValueError, match=r"self_training\.confidence: got 1\.0"):
        SelfTrainingConfig(confidence=1.0)
