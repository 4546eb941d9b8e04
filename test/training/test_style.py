# SPDX-License-Identifier: Apache-2.0
"""Style moves colours and light, not things, and only where it is asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from depthlab_core.config import DepthConfig
from depthlab_core.labels import CITYSCAPES
from training.augment import AugmentConfig
from training.config import ConfigError
from training.config_file import config_from_dict
from training.datasets.sample import Sample
from training.examples import ExampleMaker, TargetConfig
from training.loader import build_loader
from training.style import StyleConfig, StyleMixer, mix_style
from training.trainer import Trainer


def noise(seed: int, size: tuple[int, int] = (32, 48)) -> np.ndarray:
    return np.random.default_rng(seed).integers(40, 200, (*size, 3)).astype(np.uint8)


class Plain:
    """Frames of one colour."""

    def __init__(self, color: tuple[int, int, int]) -> None:
        self.color = color

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Sample:
        image = np.full((20, 30, 3), self.color, np.uint8)
        return Sample(image, None, None, None, None, f"plain{index}")


@given(st.integers(0, 100), st.integers(0, 8), st.sampled_from([(32, 48), (33, 47), (32, 33)]))
@settings(max_examples=30, deadline=None)
def test_no_share_and_its_own_style_leave_an_image_as_it_is(seed, band, size):
    image = noise(seed, size)
    np.testing.assert_array_equal(mix_style(image, noise(seed + 1), band, 0.0), image)
    np.testing.assert_array_equal(mix_style(image, image, band, 1.0), image)


def test_band_zero_moves_the_mean_alone():
    image = noise(0)
    mixed = mix_style(image, np.full((5, 5, 3), (100, 110, 120), np.uint8), 0, 1.0)
    np.testing.assert_allclose(mixed.mean((0, 1)), (100, 110, 120), atol=0.5)
    contrast = (image - image.mean((0, 1))) - (mixed - mixed.mean((0, 1)))
    assert np.abs(contrast).max() <= 1


def test_low_frequencies_have_the_others_amplitudes_and_their_own_phases():
    ramp = np.linspace(60, 190, 48)[None, :, None].repeat(32, 0).repeat(3, 2).astype(np.uint8)
    image = (noise(3) // 4 + 80).astype(np.uint8)
    mixed = mix_style(image, ramp, 2, 1.0)
    before, style, after = (np.fft.rfft2(x[..., 0].astype(float)) for x in (image, ramp, mixed))
    for frequency in ((0, 0), (0, 1), (0, 2)):
        assert abs(after[frequency]) == pytest.approx(abs(style[frequency]), rel=0.02)
        assert np.angle(after[frequency]) == pytest.approx(np.angle(before[frequency]), abs=0.05)
    assert abs(after[5, 9]) == pytest.approx(abs(before[5, 9]), rel=0.05)


def test_is_the_mixture_of_whole_spectra():
    image, style = noise(5), noise(6)
    band, share = 3, 0.6
    mixed = mix_style(image, style, band, share)
    spectrum, other = (np.fft.fft2(x.astype(float), axes=(0, 1)) for x in (image, style))
    low = [np.abs(np.fft.fftfreq(size, 1 / size)) <= band for size in image.shape[:2]]
    is_low = np.outer(*low)[..., None]
    amplitude = np.where(is_low, (1 - share) * np.abs(spectrum) + share * np.abs(other), 0)
    expected = np.where(is_low, amplitude * np.exp(1j * np.angle(spectrum)), spectrum)
    expected = np.fft.ifft2(expected, axes=(0, 1)).real.clip(0, 255)
    np.testing.assert_allclose(mixed, expected, atol=0.51)


@given(st.integers(0, 40), st.sampled_from([(32, 48), (33, 47), (8, 9)]))
@settings(max_examples=20, deadline=None)
def test_a_band_of_everything_is_no_more_than_everything(band, size):
    image = noise(1, size)
    mixed = mix_style(image, noise(2, size), band, 1.0)
    assert np.abs(mixed.mean() - noise(2, size).mean()) < 8


def test_as_many_views_as_asked_change_and_labels_never(street_samples):
    sample = street_samples[0]
    augment = AugmentConfig(crop=(64, 96))
    style = StyleMixer(Plain((255, 0, 0)), StyleConfig(probability=0.3))
    makers = [
        ExampleMaker(augment, TargetConfig(), DepthConfig(), CITYSCAPES, mixer)
        for mixer in (None, style)
    ]
    changed = 0
    for seed in range(100):
        plain, mixed = (make(sample, np.random.default_rng(seed)) for make in makers)
        changed += not torch.equal(plain.pop("image"), mixed.pop("image"))
        assert all(torch.equal(plain[key], mixed[key]) for key in plain)
    assert 15 <= changed <= 45


def config(tmp_path, **streets):
    return config_from_dict(
        {
            "output": str(tmp_path / "run"),
            "model": {"name": "lite0"},
            "datasets": {
                "streets": {"kind": "streets", "frames": 1, "size": [64, 96], **streets},
                # Of another town: mixing a frame with itself changes nothing.
                "real": {"kind": "streets", "frames": 1, "size": [64, 96], "seed": 1, "weight": 0},
            },
            "augment": {"crop": [64, 96]},
            "style": {"probability": 1.0},
            # Some views take next to nothing of the other style.
            "loop": {"workers": 0, "batch_size": 8, "iterations": 1},
        }
    )


def test_a_dataset_without_a_share_can_give_its_style(tmp_path):
    with_style = config(tmp_path, style_from="real")
    without = config(tmp_path)
    images = []
    for run in (without, with_style):
        trainer = Trainer(replace(run, output=str(tmp_path)), torch.device("cpu"))
        images.append(next(iter(build_loader(trainer)))["image"])
    assert not torch.equal(*images)


def test_the_style_of_an_unknown_dataset(tmp_path):
    with pytest.raises(ConfigError, match=r"streets\.style_from: got 'night', expected one of"):
        config(tmp_path, style_from="night")


@pytest.mark.parametrize("entry", [{"probability": 1.5}, {"bandwidth": 0.0}])
def test_impossible_styles(entry):
    with pytest.raises(ValueError, match=r"style\.\w+: got"):
        StyleConfig(**entry)
