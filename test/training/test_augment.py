# SPDX-License-Identifier: Apache-2.0
"""Image, labels and depth stay together under every random view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depthlab_core.config import InputConfig
from depthlab_core.preprocess import input_geometry
from training.augment import (
    FILL_COLOR,
    AugmentConfig,
    View,
    apply_view,
    draw_view,
    erode_valid,
    random_view,
    vary_color,
)
from training.datasets.sample import Sample

HEIGHT, WIDTH = 48, 80


def coded_sample() -> Sample:
    """A sample in which every pixel tells its place, alike in image, labels and depth."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    image = np.stack([rows, columns, np.full_like(rows, 7)], axis=-1).astype(np.uint8)
    return Sample(
        image=image,
        semantic=columns.astype(np.uint8),
        panoptic=(rows * 1000 + columns).astype(np.int32),
        depth=(1 + rows * WIDTH + columns).astype(np.float32),
        focal_length=100.0,
        name="coded",
    )


@given(seed=st.integers(0, 2**32 - 1), crop=st.sampled_from([(32, 32), (32, 64), (64, 96)]))
@settings(max_examples=100, deadline=None)
def test_labels_and_depth_can_never_move_apart(seed, crop):
    config = AugmentConfig(crop=crop, scale=(0.5, 3.0), hole_erosion=0)
    view = random_view(coded_sample(), config, np.random.default_rng(seed))
    assert view.image.shape == (*crop, 3)
    inside = view.panoptic >= 0
    rows, columns = np.divmod(view.panoptic[inside], 1000)
    np.testing.assert_array_equal(view.semantic[inside], columns)
    np.testing.assert_array_equal(view.depth[inside], 1 + rows * WIDTH + columns)
    assert (view.semantic[~inside] == 255).all()
    assert (view.depth[~inside] == 0).all()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_the_image_moves_with_the_labels(seed):
    # At scale 1 no pixel is blended: the image must agree exactly.
    config = AugmentConfig(crop=(64, 64), scale=(1.0, 1.0), hole_erosion=0)
    view = random_view(coded_sample(), config, np.random.default_rng(seed))
    inside = view.panoptic >= 0
    rows, columns = np.divmod(view.panoptic[inside], 1000)
    np.testing.assert_array_equal(view.image[inside][:, 0], rows)
    np.testing.assert_array_equal(view.image[inside][:, 1], columns)
    assert (view.image[~inside] == FILL_COLOR).all()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_the_enlarged_image_stays_within_a_pixel_of_the_labels(seed):
    config = AugmentConfig(crop=(32, 32), scale=(1.0, 3.0), hole_erosion=0)
    view = random_view(coded_sample(), config, np.random.default_rng(seed))
    rows, columns = np.divmod(view.panoptic, 1000)
    inside = (view.panoptic >= 0) & (rows > 0) & (columns > 0)
    assert abs(view.image[..., 0].astype(int) - rows)[inside].max(initial=0) <= 1
    assert abs(view.image[..., 1].astype(int) - columns)[inside].max(initial=0) <= 1


def test_a_flip_mirrors_everything():
    config = AugmentConfig(crop=(32, 64), hole_erosion=0)
    plain = apply_view(coded_sample(), View(3, 5, 32, 64, (32, 64), flip=False), config)
    mirrored = apply_view(coded_sample(), View(3, 5, 32, 64, (32, 64), flip=True), config)
    for name in ("image", "semantic", "panoptic", "depth"):
        np.testing.assert_array_equal(getattr(mirrored, name), getattr(plain, name)[:, ::-1])


def test_depth_stays_metric_and_the_focal_length_follows():
    view = View(0, 0, 16, 32, (32, 64), flip=False)
    keep = AugmentConfig(crop=(32, 64), hole_erosion=0, depth_under_scale="keep")
    divide = AugmentConfig(crop=(32, 64), hole_erosion=0, depth_under_scale="divide")
    kept = apply_view(coded_sample(), view, keep)
    divided = apply_view(coded_sample(), view, divide)
    assert kept.focal_length == 200
    assert kept.depth[0, 0] == 1
    assert divided.focal_length == 100
    assert divided.depth[0, 0] == 0.5
    # Both say the same about depth per focal length, which is all that an image can tell.
    np.testing.assert_allclose(
        kept.depth / kept.focal_length, divided.depth / divided.focal_length
    )


def test_absent_labels_stay_absent():
    sample = Sample(np.zeros((40, 40, 3), np.uint8), None, None, None, None, "bare")
    view = random_view(sample, AugmentConfig(crop=(32, 32)), np.random.default_rng(0))
    assert (view.semantic, view.panoptic, view.depth, view.focal_length) == (None,) * 4


def test_holes_grow_but_the_image_border_does_not():
    depth = np.ones((9, 9), np.float32)
    depth[4, 4] = 0
    eroded = erode_valid(depth, 2)
    assert (eroded == 0).sum() == 25
    assert eroded[0, 0] == 1


def test_sparse_depth_is_kept_although_it_is_full_of_holes():
    depth = np.zeros((HEIGHT, WIDTH), np.float32)
    depth[::3, ::5] = 7
    sample = replace(coded_sample(), depth=depth)
    whole = View(0, 0, 32, 64, crop=(32, 64), flip=False)
    config = AugmentConfig(crop=(32, 64))
    assert not apply_view(sample, whole, config).depth.any()
    view = apply_view(replace(sample, has_sparse_depth=True), whole, config)
    np.testing.assert_array_equal(view.depth, depth[:32, :64])


def test_scales_are_drawn_over_the_whole_range():
    config = AugmentConfig(crop=(32, 64), scale=(0.5, 2.0), reference_area=4 * HEIGHT * WIDTH)
    rng = np.random.default_rng(0)
    scales = [draw_view((HEIGHT, WIDTH), config, rng).scale for _ in range(300)]
    assert min(scales) == pytest.approx(1.0, abs=0.05)
    assert max(scales) == pytest.approx(4.0, rel=0.05)


@given(seed=st.integers(0, 2**32 - 1), aspect=st.floats(1.0, 3.0))
@settings(max_examples=60, deadline=None)
def test_frames_of_any_aspect_ratio_are_drawn_at_the_scale_of_prediction(seed, aspect):
    size = (400, round(400 * aspect))
    model = InputConfig(size=(384, 512))
    config = AugmentConfig(crop=(320, 320), scale=(0.8, 1.4), reference_area=384 * 512)
    scale = draw_view(size, config, np.random.default_rng(seed)).scale
    predicted = input_geometry(*size, model).input_width / size[1]
    # Prediction rounds to multiples of its stride, 5 % at most.
    assert 0.8 / 1.05 <= scale / predicted <= 1.4 * 1.05


def test_steps_take_the_crops_in_turn():
    config = AugmentConfig(crop=(64, 96), other_crops=((32, 128), (96, 64)))
    crops = [config.of_step(step).crop for step in range(7)]
    assert crops == [(64, 96), (32, 128), (96, 64)] * 2 + [(64, 96)]


def test_colour_varies_only_where_asked():
    image = coded_sample().image
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(vary_color(image, AugmentConfig(), rng), image)
    varied = vary_color(image, AugmentConfig(brightness=0.4, hue=20, saturation=0.5), rng)
    assert varied.shape == image.shape
    assert (varied != image).any()


def test_blurring_lowers_and_sharpening_raises_contrast_at_an_edge_alone():
    image = np.full((40, 80, 3), 80, np.uint8)
    image[:, 40:] = 160
    rng = np.random.default_rng(0)
    blurred = vary_color(image, AugmentConfig(blur=1.0, sharpen=1.0), rng)
    assert blurred[:, 38:42].min() > 80
    assert blurred[:, 38:42].max() < 160
    sharpened = vary_color(image, AugmentConfig(sharpen=1.0), rng)
    assert (sharpened[:, 39] < 80).all()
    assert (sharpened[:, 40] > 160).all()
    for varied in (blurred, sharpened):
        np.testing.assert_array_equal(varied[:, :20], image[:, :20])
        np.testing.assert_array_equal(varied[:, 60:], image[:, 60:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop": (100, 64)}, "augment.crop"),
        ({"other_crops": ((64, 64), (64, 100))}, "augment.other_crops"),
        ({"scale": (2.0, 1.0)}, "augment.scale"),
        ({"reference_area": 0}, "augment.reference_area"),
        ({"sharpen": 1.5}, "augment.sharpen"),
    ],
)
def test_wrong_settings_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        AugmentConfig(**change)
