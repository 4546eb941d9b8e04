# SPDX-License-Identifier: Apache-2.0
"""Segments of a hand-written map, with exact answers."""

import math

import numpy as np
import pytest

from depthlab_core import CITYSCAPES
from depthlab_core.segments import compute_segments

NAN = math.nan
PANOPTIC = np.array(
    [
        [10000, 10000, 10000, 10000],
        [13001, 13001, 13002, -1],
        [13001, 0, 13002, 0],
        [0, 0, 0, 0],
    ],
    np.int32,
)
DEPTH = np.array(
    [
        [NAN, NAN, NAN, NAN],
        [10, 12, 30, 5],
        [14, 4, NAN, 4],
        [2, 2, 2, 3],
    ],
    np.float32,
)
PROBABILITY = np.array(
    [
        [1.0, 1.0, 0.5, 0.5],
        [0.9, 0.6, 0.4, 0.1],
        [0.6, 0.5, 0.8, 0.5],
        [0.5, 0.5, 0.5, 0.5],
    ],
    np.float32,
)
HEATMAP = np.zeros((4, 4), np.float32)
HEATMAP[1, 0] = 0.5
HEATMAP[1, 2] = 1.25


def test_every_field() -> None:
    segments, id_map = compute_segments(PANOPTIC, DEPTH, PROBABILITY, HEATMAP, CITYSCAPES)
    assert [s.panoptic_id for s in segments] == [0, 10000, 13001, 13002]
    assert [s.id for s in segments] == [1, 2, 3, 4]
    assert [s.category_name for s in segments] == ["road", "sky", "car", "car"]
    assert [s.is_thing for s in segments] == [False, False, True, True]
    assert [s.area for s in segments] == [6, 4, 3, 2]
    assert [s.bbox for s in segments] == [(0, 2, 4, 2), (0, 0, 4, 1), (0, 1, 2, 2), (2, 1, 1, 2)]
    assert [s.centroid for s in segments] == [
        (10 / 6, 16 / 6),
        (1.5, 0.0),
        (1 / 3, 4 / 3),
        (2.0, 1.5),
    ]
    np.testing.assert_array_equal(id_map, [[2, 2, 2, 2], [3, 3, 4, 0], [3, 1, 4, 1], [1, 1, 1, 1]])
    assert id_map.dtype == np.uint16

    road, sky, near_car, far_car = segments
    assert road.depth_mean == pytest.approx(17 / 6)
    assert road.depth_median == 2.5
    assert road.depth_valid_ratio == 1.0
    assert near_car.depth_mean == 12.0
    assert near_car.depth_median == 12.0
    assert near_car.depth_std == pytest.approx(math.sqrt(8 / 3))
    assert near_car.depth_p05 == pytest.approx(10.2)
    assert near_car.depth_p95 == pytest.approx(13.8)
    assert far_car.depth_mean == 30.0
    assert far_car.depth_valid_ratio == 0.5
    assert math.isnan(sky.depth_mean)
    assert math.isnan(sky.depth("median"))
    assert sky.depth_valid_ratio == 0.0
    assert near_car.depth("p95") == near_car.depth_p95


@pytest.mark.parametrize("name", ["max", "valid_ratio", None])
def test_no_such_statistic(name) -> None:
    segments, _ = compute_segments(PANOPTIC, DEPTH, PROBABILITY, HEATMAP, CITYSCAPES)
    message = f"^statistic: got {name!r}, expected one of mean, median, p05, p95$"
    with pytest.raises(ValueError, match=message):
        segments[0].depth(name)


def test_score_is_class_times_centre() -> None:
    segments, _ = compute_segments(PANOPTIC, DEPTH, PROBABILITY, HEATMAP, CITYSCAPES)
    road, sky, near_car, far_car = segments
    assert road.score == pytest.approx(0.5)
    assert sky.score == pytest.approx(0.75)
    assert near_car.score == pytest.approx(0.7 * 0.5)
    # The heatmap's 1.25 counts as 1.
    assert far_car.score == pytest.approx(0.6)


def test_nothing_but_void() -> None:
    void = np.full((4, 4), -1, np.int32)
    segments, id_map = compute_segments(void, DEPTH, PROBABILITY, HEATMAP, CITYSCAPES)
    assert segments == []
    assert not id_map.any()
