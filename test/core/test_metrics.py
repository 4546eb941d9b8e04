# SPDX-License-Identifier: Apache-2.0
"""Metrics on maps small enough to count by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from depthlab_core.labels import CITYSCAPES
from depthlab_core.metrics.depth import DepthErrors, SegmentDepthErrors
from depthlab_core.metrics.panoptic import (
    DepthAwarePanopticQuality,
    PanopticQuality,
    match_segments,
)

R, S, V = 0, 10_000, -1  # road, sky, void
A, B = 13_001, 13_002  # two cars
CROWD = 13_000

TRUTH = np.array(
    [
        [S, S, S, S],
        [A, A, B, B],
        [A, A, B, B],
        [R, R, R, R],
    ]
)


def test_a_perfect_prediction_is_perfect():
    quality = PanopticQuality(CITYSCAPES)
    quality.update(TRUTH, TRUTH)
    result = quality.result()
    assert result["pq"] == result["sq"] == result["rq"] == 1
    assert result["pq/car"] == 1
    assert "pq/bus" not in result


def test_panoptic_quality_counted_by_hand():
    prediction = np.array(
        [
            [S, S, S, S],
            [A, A, A, B],
            [A, A, A, B],
            [R, R, R, V],
        ]
    )
    quality = PanopticQuality(CITYSCAPES)
    matches = quality.update(prediction, TRUTH)
    # Car A: 4 of 6 pixels; car B: 2 of 4, which is not above one half.
    assert (A, A, pytest.approx(4 / 6)) in matches.matched
    assert matches.false_positives == [B]
    assert matches.false_negatives == [B]
    result = quality.result()
    assert result["pq/car"] == pytest.approx((4 / 6) / 2)
    assert result["pq/road"] == pytest.approx(3 / 4)
    assert result["pq_stuff"] == pytest.approx((1 + 3 / 4) / 2)
    assert result["rq_things"] == pytest.approx(1 / 2)


def test_unlabelled_pixels_do_not_count_in_the_union():
    truth = np.array([[A, A, V, V, V]])
    prediction = np.array([[A, A, A, A, A]])
    matches = match_segments(prediction, truth, CITYSCAPES)
    assert matches.matched == [(A, A, 1.0)]


def test_predictions_on_void_or_on_a_crowd_of_their_class_are_no_errors():
    truth = np.array([[V, V, V, R, CROWD, CROWD, CROWD, R]])
    prediction = np.array([[A, A, A, A, B, B, B, B]])
    matches = match_segments(prediction, truth, CITYSCAPES)
    assert matches.matched == []
    assert matches.false_positives == []
    assert matches.false_negatives == [R]
    person_on_cars = np.array([[V, V, V, V, 11_001, 11_001, 11_001, 11_001]])
    assert match_segments(person_on_cars, truth, CITYSCAPES).false_positives == [11_001]


def test_the_same_place_with_another_class_is_two_errors():
    truth = np.full((2, 2), A)
    matches = match_segments(np.full((2, 2), 14_001), truth, CITYSCAPES)
    assert matches.matched == []
    assert matches.false_positives == [14_001]
    assert matches.false_negatives == [A]


def test_depth_aware_quality_counts_pixels_of_wrong_depth_as_void():
    depth = np.full(TRUTH.shape, 10.0)
    true_depth = np.where(TRUTH == S, 0, 10.0)
    depth[TRUTH == A] = 14.0
    quality = DepthAwarePanopticQuality(CITYSCAPES)
    quality.update(TRUTH, TRUTH, depth, true_depth)
    result = quality.result()
    assert result["dpq@0.5"] == 1
    # At 0.25 car A is gone: one match, one miss; road and sky are whole.
    assert result["dpq@0.25"] == pytest.approx((1 + 1 + 1 / 1.5) / 3)
    assert result["dpq"] == pytest.approx((1 + 2 * result["dpq@0.25"]) / 3)


def test_unknown_predicted_depth_is_wrong_where_truth_is_known():
    depth = np.full((2, 2), np.nan)
    quality = DepthAwarePanopticQuality(CITYSCAPES)
    quality.update(np.full((2, 2), A), np.full((2, 2), A), depth, np.ones((2, 2)))
    assert quality.result()["dpq"] == 0


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64])
def test_depth_aware_quality_takes_any_integers(dtype):
    quality = DepthAwarePanopticQuality(CITYSCAPES)
    depth = np.where(TRUTH == A, 14.0, 10.0)
    quality.update(TRUTH.astype(dtype), TRUTH, depth, np.full(TRUTH.shape, 10.0))
    assert quality.result()["dpq@0.25"] == pytest.approx((1 + 1 + 1 / 1.5) / 3)


def test_maps_of_different_shapes_are_refused():
    with pytest.raises(
        ValueError, match=r"^prediction: got \(4, 3\), expected \(3, 4\), the truth"
    ):
        match_segments(TRUTH[:3].T, TRUTH[:3], CITYSCAPES)


def test_depth_errors_by_hand():
    errors = DepthErrors(max_depth=80)
    depth = np.array([[2.0, 8.0, np.nan, 5.0, 5.0]])
    truth = np.array([[1.0, 8.0, 4.0, 0.0, 90.0]])
    values = errors.update(depth, truth)
    assert values["abs_rel"] == pytest.approx(0.5)
    assert values["sq_rel"] == pytest.approx(0.5)
    assert values["rmse"] == pytest.approx(np.sqrt(0.5))
    assert values["delta1"] == 0.5
    assert values["coverage"] == pytest.approx(2 / 3)
    assert values["silog"] == pytest.approx(100 * np.log(2) / 2)
    assert errors.update(depth, np.zeros_like(truth)) is None
    assert errors.result()["abs_rel"] == pytest.approx(0.5)


def test_an_image_without_any_answer_counts_in_the_coverage():
    errors = DepthErrors()
    errors.update(np.ones((2, 2)), np.ones((2, 2)))
    assert errors.update(np.full((2, 2), np.nan), np.ones((2, 2))) is None
    assert errors.result()["coverage"] == 0.5
    assert errors.result()["abs_rel"] == 0


def test_border_and_interior_are_told_apart():
    depth = np.ones((100, 100))
    truth = np.ones((100, 100))
    depth[:, :5] = 2.0
    values = DepthErrors(border=0.1).update(depth, truth)
    assert values["abs_rel_interior"] == 0
    assert values["abs_rel_border"] > 0


def test_segment_depth_is_the_error_of_medians():
    depth = np.where(TRUTH == A, 11.0, 20.0)
    true_depth = np.where(TRUTH == S, 0, np.where(TRUTH == A, 10.0, 25.0))
    matches = match_segments(TRUTH, TRUTH, CITYSCAPES)
    errors = SegmentDepthErrors(CITYSCAPES)
    errors.update(matches.matched, TRUTH, TRUTH, depth, true_depth)
    result = errors.result()
    assert result["segments"] == 3
    assert result["segment_depth/car"] == pytest.approx((0.1 + 0.2) / 2)
    assert result["segment_depth/road"] == pytest.approx(0.2)
    assert result["segment_depth/10-20m"] == pytest.approx(0.1)
    assert SegmentDepthErrors(CITYSCAPES).result() == {}


def test_panoptic_quality_equals_that_of_cityscapesscripts():
    with np.load(Path(__file__).parent / "data" / "cityscapesscripts_pq.npz") as arrays:
        truths, predictions = arrays["truth"].astype(int), arrays["prediction"].astype(int)
        expected = json.loads(str(arrays["expected"]))
    quality = PanopticQuality(CITYSCAPES)
    for prediction, truth in zip(predictions, truths, strict=True):
        quality.update(prediction, truth)
    result = quality.result()
    for name, value in expected.items():
        assert result.get(name, 0.0) == pytest.approx(value, abs=1e-12), name
