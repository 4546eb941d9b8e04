# SPDX-License-Identifier: Apache-2.0
"""A hood hides what is under it, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from depthlab_core.config import DepthConfig
from depthlab_core.labels import CITYSCAPES
from training.augment import AugmentConfig
from training.datasets.sample import Sample
from training.examples import ExampleMaker, TargetConfig
from training.hood import cover_with_hood

SEEDS = st.integers(0, 2**32 - 1)


def street(height: int, width: int, seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    return Sample(
        name="street",
        image=rng.integers(0, 256, (height, width, 3), np.uint8),
        semantic=rng.integers(0, 19, (height, width)).astype(np.uint8),
        panoptic=rng.integers(0, 19000, (height, width)).astype(np.int32),
        depth=rng.uniform(1, 80, (height, width)).astype(np.float32),
        focal_length=500.0,
    )


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, height=st.integers(32, 120), width=st.integers(32, 200))
def test_all_of_a_hood_is_unlabelled_and_all_else_stays(seed, height, width):
    view = street(height, width, seed % 1000)
    covered = cover_with_hood(view, np.random.default_rng(seed))
    hood = covered.depth == 0
    np.testing.assert_array_equal(covered.semantic == CITYSCAPES.ignore_label, hood)
    np.testing.assert_array_equal(covered.panoptic == -1, hood)
    for name in ("image", "semantic", "panoptic", "depth"):
        before, after = getattr(view, name), getattr(covered, name)
        np.testing.assert_array_equal(after[~hood], before[~hood])
        assert (after.dtype, after.shape) == (before.dtype, before.shape)
    assert covered.focal_length == view.focal_length
    # One piece at the lower edge that leaves the upper half free.
    np.testing.assert_array_equal(np.sort(hood, axis=0), hood)
    assert hood.sum(axis=0).max() <= -(-height // 2)


def test_hoods_are_of_all_kinds():
    view = street(64, 96, 0)
    hoods = np.array(
        [cover_with_hood(view, np.random.default_rng(seed)).depth == 0 for seed in range(200)]
    )
    covered = hoods.mean(axis=(1, 2))
    assert covered.min() < 0.05
    assert covered.max() > 0.25
    left, right = hoods[:, :, 0].mean(axis=1), hoods[:, :, -1].mean(axis=1)
    assert np.mean(left > right + 0.1) > 0.1
    assert np.mean(right > left + 0.1) > 0.1
    assert np.mean(np.abs(left - right) < 0.06) > 0.3


def test_a_hood_mirrors_what_stands_over_it():
    dark = replace(street(64, 96, 0), image=np.full((64, 96, 3), 20, np.uint8))
    bright_sky = dark.image.copy()
    bright_sky[:20] = 250
    bright = replace(dark, image=bright_sky)
    gains = []
    for seed in range(60):
        pair = [cover_with_hood(view, np.random.default_rng(seed)) for view in (dark, bright)]
        hood = pair[0].depth == 0
        difference = pair[1].image[hood].astype(int) - pair[0].image[hood]
        assert difference.min() >= -1
        gains.append(difference.max())
    assert np.mean(np.array(gains) > 20) > 0.7


def test_absent_labels_stay_absent():
    image = street(48, 64, 0).image
    plain = Sample(image, None, None, None, None, name="plain")
    covered = cover_with_hood(plain, np.random.default_rng(0))
    assert (covered.semantic, covered.panoptic, covered.depth) == (None, None, None)
    assert (covered.image != image).any()


def test_the_share_of_examples_with_hoods_is_as_configured(street_samples):
    def hidden(share: float) -> np.ndarray:
        augment = AugmentConfig(crop=(64, 96), scale=(1.0, 1.0), hood=share)
        make = ExampleMaker(augment, TargetConfig(), DepthConfig(), CITYSCAPES)
        rng = np.random.default_rng(0)
        whole = replace(street_samples[0], depth=np.full((64, 96), 5, np.float32))
        return np.array([(make(whole, rng)["depth"].numpy() == 0).any() for _ in range(60)])

    assert not hidden(0.0).any()
    assert hidden(1.0).all()
    assert 0.1 < hidden(0.3).mean() < 0.5
