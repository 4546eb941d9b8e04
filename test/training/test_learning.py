# SPDX-License-Identifier: Apache-2.0
"""What the optimiser is given suffices to learn: a frame can be learned by heart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from depthlab_core.labels import CITYSCAPES
from depthlab_core.network import ModelOutput
from depthlab_core.restore import restore
from training.config_file import config_from_dict
from training.datasets.build import build_dataset
from training.examples import ExampleMaker, normalise
from training.train import train


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    config = config_from_dict(
        {
            "output": str(tmp_path_factory.mktemp("learned")),
            "init": {"imagenet": True},
            "model": {"name": "lite0", "network": {"dropout": 0.0}},
            "datasets": {
                "street": {
                    "kind": "streets",
                    "frames": 1,
                    "size": [256, 512],
                    "keep_in_memory": True,
                }
            },
            "augment": {"crop": [64, 128], "scale": [0.25, 0.25], "flip": 0.0, "hole_erosion": 0},
            "targets": {"sigma": 3, "small_instance_area": 0, "max_depth": 120},
            "loss": {"depth_loss": "silog_relative", "hard_pixel_fraction": 1.0, "offset": 0.1},
            "optimizer": {"name": "adamw", "lr": 0.004, "warmup_iterations": 5},
            "loop": {"iterations": 60, "batch_size": 2, "workers": 0, "threads": 1},
        }
    )
    trainer = train(config, torch.device("cpu"))
    # Train mode: sixty steps are too few for the running statistics of batch norm to settle.
    make = ExampleMaker(config.augment, config.targets, config.model.network.depth, CITYSCAPES)
    frame = build_dataset("street", config.datasets["street"])[0]
    example = make(frame, np.random.default_rng(0))
    images = normalise(torch.stack([example["image"]] * 2), config.model.input)
    with torch.no_grad():
        output: ModelOutput = trainer.network(images)
    return example, restore(output, 64, 128)


def test_classes_are_learned(learned):
    example, output = learned
    truth = example["semantic"]
    correct = output.semantic_logits[0].argmax(0) == truth
    assert correct[truth != 255].float().mean() > 0.9


def test_depth_is_learned(learned):
    example, output = learned
    truth = example["depth"]
    known = truth > 0
    relative = (output.depth[0, 0] - truth).abs()[known] / truth[known]
    assert relative.median() < 0.1


def test_centers_and_offsets_are_learned(learned):
    example, output = learned
    things = example["offset_weight"][0] > 0
    error = (output.offset[0] - example["offset"]).abs()[:, things].mean()
    assert error < 0.5 * example["offset"].abs()[:, things].mean()
    peaks = example["center_heatmap"] > 0.9
    assert output.center_heatmap[0][peaks].mean() > 0.3
