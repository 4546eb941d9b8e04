# SPDX-License-Identifier: Apache-2.0
"""Examples carry what the network should answer, and weights where it is unknown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from depthlab_core.config import DepthConfig, InputConfig
from depthlab_core.labels import CITYSCAPES
from training.augment import AugmentConfig
from training.datasets.sample import DatasetError, Sample
from training.examples import (
    ExampleMaker,
    TargetConfig,
    batch_targets,
    normalise,
    warn_of_unused_depth,
)
from training.label_groups import RIDER_OR_BICYCLE

METRIC = DepthConfig()
CANONICAL = DepthConfig(output="log", canonical_focal_length=500.0)


def maker(depth: DepthConfig = METRIC, **targets) -> ExampleMaker:
    return ExampleMaker(AugmentConfig(crop=(32, 64)), TargetConfig(**targets), depth, CITYSCAPES)


@pytest.fixture
def view(street_samples) -> Sample:
    return crop(street_samples[0])


def crop(sample: Sample) -> Sample:
    """Cut out 32 x 64 pixels that show near and far, things and stuff."""
    part = (slice(28, 60), slice(16, 80))
    return replace(
        sample,
        image=sample.image[part],
        panoptic=sample.panoptic[part],
        depth=sample.depth[part],
    )


def test_a_step_has_the_size_whose_turn_it_is(street_samples):
    augment = AugmentConfig(crop=(32, 64), other_crops=((64, 32),))
    make = ExampleMaker(augment, TargetConfig(), METRIC, CITYSCAPES)
    for step in range(4):
        example = make(street_samples[0], np.random.default_rng(step), step)
        size = (32, 64) if step % 2 == 0 else (64, 32)
        assert {tuple(value.shape[-2:]) for value in example.values()} == {size}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"panoptic": np.zeros((16, 64), np.int32)},
            r"panoptic: got \(16, 64\), expected \(64, 96",
        ),
        (
            {"depth": np.ones((64, 96, 3), np.float32)},
            r"depth: got \(64, 96, 3\), expected \(64, 9",
        ),
        ({"focal_length": 0.0}, "focal length: got 0.0, expected a positive number of pixels"),
        ({"focal_length": float("nan")}, "focal length: got nan, expected a positive number"),
    ],
)
def test_labels_that_do_not_fit_their_image_are_named(street_samples, change, message):
    sample = replace(street_samples[0], **change)
    with pytest.raises(DatasetError, match=rf"^{sample.name}: {message}"):
        maker()(sample, np.random.default_rng(0))


def test_metric_depth_stays_and_far_depth_is_unknown(view):
    depth = maker(max_depth=30.0).from_view(view)["depth"].numpy()
    is_near = view.depth <= 30
    np.testing.assert_array_equal(depth[is_near], view.depth[is_near])
    assert not depth[~is_near].any()


def test_canonical_depth_is_that_of_the_canonical_camera(view):
    depth = maker(CANONICAL).from_view(view)["depth"].numpy()
    np.testing.assert_allclose(depth, view.depth * 500 / view.focal_length, rtol=1e-6)
    assert not maker(CANONICAL).from_view(replace(view, focal_length=None))["depth"].any()


def test_canonical_depth_does_not_depend_on_the_scale_beyond_the_image(view):
    # The same pixels, said to be seen twice as large, are half as far for a fixed camera.
    doubled = replace(view, focal_length=2 * view.focal_length)
    plain, scaled = (maker(CANONICAL).from_view(s)["depth"] for s in (view, doubled))
    torch.testing.assert_close(plain, 2 * scaled)


@pytest.mark.parametrize(
    ("depth", "change", "is_told"),
    [
        (CANONICAL, {"focal_length": None}, True),
        (CANONICAL, {}, False),
        (CANONICAL, {"focal_length": None, "depth": None}, False),
        (METRIC, {"focal_length": None}, False),
    ],
)
def test_depth_that_teaches_nothing_is_told(street_samples, caplog, depth, change, is_told):
    sample = replace(street_samples[0], **change)
    warn_of_unused_depth("mine", [sample], depth)
    told = "datasets.mine: depth of frames without a focal length is not used, such as that of "
    assert caplog.text.count(told + sample.name) == int(is_told)
    # The warning is right: such depth is not in the example.
    if sample.depth is not None:
        assert maker(depth).from_view(crop(sample))["depth"].any() == (not is_told)


def test_absent_labels_have_no_weight(view):
    bare = replace(view, panoptic=None, depth=None)
    example = maker().from_view(bare)
    assert (example["semantic"] == 255).all()
    for key in ("center_weight", "offset_weight", "depth"):
        assert not example[key].any()


def test_guessed_instances_count_less(view):
    full = maker().from_view(view)
    guessed = maker().from_view(replace(view, instance_weight=0.25))
    torch.testing.assert_close(guessed["center_weight"], 0.25 * full["center_weight"])
    torch.testing.assert_close(guessed["offset_weight"], 0.25 * full["offset_weight"])


def test_balanced_depth_reaches_the_example(view):
    assert (maker().from_view(view)["depth_weight"] == 1).all()
    balanced = maker(depth_balance=0.5).from_view(view)["depth_weight"]
    is_labelled = view.panoptic >= 0
    segments = view.panoptic[is_labelled]
    _, index, area = np.unique(segments, return_inverse=True, return_counts=True)
    expected = area[index] ** -0.5
    np.testing.assert_allclose(balanced[is_labelled], expected / expected.mean(), rtol=1e-5)
    assert (balanced[~is_labelled] == 1).all()


def test_whether_crowds_have_centers_reaches_the_example(view):
    crowd = np.full((32, 64), 11_000, np.int32)
    crowded = replace(view, panoptic=crowd)
    assert not maker().from_view(crowded)["center_heatmap"].any()
    example = maker(ignore_crowd_in_center=False).from_view(crowded)
    assert example["center_heatmap"].max() == 1


def test_class_weights_hold_for_groups_too(view):
    weights = [1.0] * 19
    weights[12], weights[5] = 4.0, 2.0
    semantic = np.full((32, 64), RIDER_OR_BICYCLE.id, np.uint8)
    semantic[0], semantic[1] = 5, 255
    example = maker(class_weights=tuple(weights)).from_view(
        replace(view, semantic=semantic, panoptic=None)
    )
    assert (example["semantic_weight"][0] == 2).all()
    assert (example["semantic_weight"][1] == 1).all()
    assert (example["semantic_weight"][2:] == 4).all()


def test_a_batch_is_normalised_as_the_model_says(view):
    example = maker()(view, np.random.default_rng(0))
    batch = {key: value.unsqueeze(0) for key, value in example.items()}
    assert batch["image"].dtype == torch.uint8
    config = InputConfig(mean=(1.0, 2.0, 3.0), std=(2.0, 4.0, 8.0))
    images = normalise(batch["image"], config)
    torch.testing.assert_close(images[0, 2], (batch["image"][0, 2].float() - 3) / 8)
    assert batch_targets(batch).offset.shape == (1, 2, 32, 64)
