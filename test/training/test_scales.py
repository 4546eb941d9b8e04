# SPDX-License-Identifier: Apache-2.0
"""A run whose predictions see things larger than training shows them says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from depthlab_core.config import InputConfig
from training.augment import AugmentConfig
from training.config import DatasetConfig
from training.config_file import load_config
from training.scales import warn_of_other_scale

CONFIGS = Path(__file__).parents[2] / "training" / "configs"


def warn(samples, size, augment: AugmentConfig) -> None:
    config = DatasetConfig(kind="cityscapes")
    warn_of_other_scale("town", samples, config, augment, InputConfig(size=size))


def test_frames_that_prediction_enlarges_further_are_warned_of(street_samples, caplog):
    warn(street_samples, (128, 192), AugmentConfig(scale=(0.8, 1.4)))
    assert "datasets.town: prediction will scale its frames by 2.00" in caplog.text
    assert "training by 0.80 to 1.40" in caplog.text


@pytest.mark.parametrize(
    ("size", "augment"),
    [
        ((64, 96), AugmentConfig(scale=(0.8, 1.4))),
        ((128, 192), AugmentConfig(scale=(0.8, 1.4), reference_area=128 * 192)),
        (None, AugmentConfig(scale=(1.0, 1.0))),
    ],
)
def test_what_training_covers_is_not_warned_of(street_samples, caplog, size, augment):
    warn(street_samples, size, augment)
    assert caplog.text == ""


def test_the_smoke_test_shows_what_it_predicts(caplog):
    config = load_config(CONFIGS / "smoke.yaml", [])
    streets = config.datasets["streets"]
    warn_of_other_scale("streets", [], streets, config.augment, config.model.input)
    assert caplog.text == ""
