# SPDX-License-Identifier: Apache-2.0
"""Segments left out by class and score."""

from __future__ import annotations

import numpy as np
import pytest

from depthlab_core import CITYSCAPES, draw_prediction
from depthlab_ros.segment_filter import filter_segments, parse_classes

ALL = frozenset(range(19))


@pytest.fixture
def prediction(stub):
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, 4:, 0] = 200
    return stub.predict(image)


def test_names_become_ids():
    assert parse_classes("", CITYSCAPES) == ALL
    assert parse_classes(" car,traffic light ,", CITYSCAPES) == {13, 6}


def test_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'classes': got boat, tree, expected .*road.*bicycle"):
        parse_classes("car, boat, tree", CITYSCAPES)


def test_everything_kept_is_the_same_prediction(prediction):
    assert filter_segments(prediction, ALL, 0.0) is prediction


def test_left_out_segments_become_void_and_the_rest_is_numbered_anew(prediction):
    left = filter_segments(prediction, frozenset({13}), 0.0)
    [car] = left.segments
    assert (car.id, car.category_name, car.panoptic_id) == (1, "car", 13001)
    np.testing.assert_array_equal(left.id_map, [[0, 0, 0, 0, 1, 1, 1, 1]] * 4)
    np.testing.assert_array_equal(left.panoptic_map, [[-1] * 4 + [13001] * 4] * 4)
    np.testing.assert_array_equal(left.semantic_map, prediction.semantic_map)
    assert left.id_map.dtype == np.uint16
    assert left.panoptic_map.dtype == np.int32
    draw_prediction(np.zeros((4, 8, 3), np.uint8), left, CITYSCAPES)


def test_lowest_score(prediction):
    assert [s.category_name for s in filter_segments(prediction, ALL, 0.6).segments] == ["road"]
    assert filter_segments(prediction, ALL, 1.0).segments == []
