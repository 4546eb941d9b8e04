# SPDX-License-Identifier: Apache-2.0
"""The annotated image."""

import dataclasses
import math
import re

import numpy as np
import pytest

from depthlab_core import CITYSCAPES, Prediction, draw_prediction
from depthlab_core.cpu import tint
from depthlab_core.overlay import distance_color
from depthlab_core.segments import compute_segments
from depthlab_core.tags import Box, place_tag, tag_style


def predict(panoptic_map: np.ndarray, depth: np.ndarray) -> Prediction:
    ones = np.ones_like(depth)
    segments, id_map = compute_segments(panoptic_map, depth, ones, ones, CITYSCAPES)
    return Prediction(
        panoptic_map=panoptic_map,
        semantic_map=np.maximum(panoptic_map // 1000, 0).astype(np.uint8),
        id_map=id_map,
        depth=depth,
        segments=segments,
        focal_length=500.0,
        focal_length_assumed=False,
        timings={},
    )


def test_colour_of_distance() -> None:
    near, middle, far = distance_color(3.0), distance_color(13.4), distance_color(60.0)
    assert near[0] == 255
    assert max(near[1:]) < 20
    assert middle[1] == 255
    assert max(middle[0], middle[2]) < 30
    assert far[2] == 255
    assert max(far[:2]) < 20
    assert distance_color(0.1) == near
    assert distance_color(1000.0) == far
    assert len(set(distance_color(math.nan))) == 1


def test_tints_outlines_and_leaves_void_alone() -> None:
    panoptic = np.full((240, 320), -1, np.int32)
    panoptic[120:, :160] = 0
    panoptic[20:100, 20:150] = 13001
    depth = np.full((240, 320), 3.0, np.float32)
    image = np.full((240, 320, 3), 100, np.uint8)
    drawn = draw_prediction(image, predict(panoptic, depth), CITYSCAPES)
    assert (image == 100).all()
    np.testing.assert_array_equal(drawn[5, 300], (100, 100, 100))
    # The car at 3 m: half of the image, half of red.
    red = distance_color(3.0)
    np.testing.assert_allclose(drawn[90, 30], [50 + c / 2 for c in red], atol=1)
    # The road: its class colour over the image.
    road = CITYSCAPES.categories[0].color
    np.testing.assert_allclose(drawn[230, 10], [65 + 0.35 * c for c in road], atol=1.5)
    np.testing.assert_array_equal(drawn[20, 60], (255, 255, 255))


@pytest.mark.parametrize("kept", [{1}, {2}, set()])
def test_only_what_is_listed_is_tinted(kept: set[int]) -> None:
    panoptic = np.zeros((240, 320), np.int32)
    panoptic[20:100, 20:150] = 13001
    depth = np.full((240, 320), 3.0, np.float32)
    image = np.full((240, 320, 3), 100, np.uint8)
    whole = predict(panoptic, depth)
    listed = [segment for segment in whole.segments if segment.id in kept]
    drawn = draw_prediction(image, dataclasses.replace(whole, segments=listed), CITYSCAPES)
    road = [65 + 0.35 * c for c in CITYSCAPES.categories[0].color]
    car = [50 + c / 2 for c in distance_color(3.0)]
    # Away from the tags in the middle of both.
    for pixel, segment_id, color in (((230, 10), 1, road), ((90, 30), 2, car)):
        expected = color if segment_id in kept else [100] * 3
        np.testing.assert_allclose(drawn[pixel], expected, atol=1.5)


def test_a_listed_segment_without_pixels_costs_nothing() -> None:
    panoptic = np.zeros((64, 96), np.int32)
    panoptic[20:40, 20:50] = 13001
    whole = predict(panoptic, np.full((64, 96), 3.0, np.float32))
    void = dataclasses.replace(whole, id_map=np.zeros_like(whole.id_map))
    drawn = draw_prediction(np.full((64, 96, 3), 100, np.uint8), void, CITYSCAPES)
    np.testing.assert_array_equal(drawn[60, 2], (100, 100, 100))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((40, 48, 3), np.uint8),
        ((400, 480, 3), np.uint8),
        ((64, 96), np.uint8),
        ((64, 96, 4), np.uint8),
        ((64, 96, 3), np.float32),
    ],
)
def test_refuses_an_image_that_is_not_the_prediction_s(
    shape: tuple[int, ...], dtype: type[np.generic]
) -> None:
    prediction = predict(np.zeros((64, 96), np.int32), np.ones((64, 96), np.float32))
    message = f"image: got {np.dtype(dtype)} {shape}, expected uint8 (64, 96, 3), the prediction's"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        draw_prediction(np.zeros(shape, dtype), prediction, CITYSCAPES)


@pytest.mark.parametrize("image", [[[[0, 0, 0]]], None, "a.png"])
def test_refuses_what_is_no_image(image) -> None:
    prediction = predict(np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32))
    message = f"image: got {type(image).__name__}, expected uint8 (1, 1, 3), the prediction's"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        draw_prediction(image, prediction, CITYSCAPES)


def test_takes_memory_that_may_not_be_written_to() -> None:
    prediction = predict(np.zeros((64, 96), np.int32), np.ones((64, 96), np.float32))
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    expected = draw_prediction(image, prediction, CITYSCAPES)
    image.flags.writeable = prediction.id_map.flags.writeable = False
    np.testing.assert_array_equal(draw_prediction(image, prediction, CITYSCAPES), expected)
    # A second compilation would cost the first drawing seconds.
    assert len(tint._tint_rows.signatures) <= 1


def test_every_segment_is_tagged_and_tags_do_not_overlap() -> None:
    style = tag_style(480, 640)
    taken: list[Box] = []
    for _ in range(12):
        box = place_tag("person 10.0 m", (320, 240), taken, style, (480, 640))
        assert box is not None
        assert 0 <= box.left < box.right <= 640
        assert 0 <= box.top < box.bottom <= 480
        for other in taken:
            apart = box.left >= other.right or other.left >= box.right
            assert apart or box.top >= other.bottom or other.top >= box.bottom
        taken.append(box)


def test_no_room_no_tag() -> None:
    assert place_tag("vegetation 100.0 m", (10, 10), [], tag_style(32, 32), (32, 32)) is None


@pytest.mark.parametrize("size", [(32, 32), (360, 480), (1024, 2048)])
def test_any_size(size: tuple[int, int]) -> None:
    panoptic = np.zeros(size, np.int32)
    panoptic[: size[0] // 2] = 10000
    panoptic[size[0] // 4 : size[0] // 2, : size[1] // 3] = 13001
    depth = np.full(size, 12.3, np.float32)
    depth[panoptic == 10000] = np.nan
    image = np.zeros((*size, 3), np.uint8)
    drawn = draw_prediction(image, predict(panoptic, depth), CITYSCAPES)
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) >= 3
