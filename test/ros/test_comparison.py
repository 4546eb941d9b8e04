# SPDX-License-Identifier: Apache-2.0
"""Figures against the truth, on frames small enough to count by hand and on the real drive."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from depthlab_msgs.msg import Segment, SegmentArray
from std_msgs.msg import Header

from depthlab_core import CITYSCAPES, VOID
from depthlab_core.overlay import distance_color
from depthlab_core.segments import compute_segments
from depthlab_ros.comparison import (
    Accuracy,
    Comparison,
    ComparisonError,
    accuracy_to_json,
    format_accuracy,
    panoptic_of,
)
from depthlab_ros.comparison_view import colored_depth, draw_comparison
from depthlab_ros.conversions import depth_to_msg, id_map_to_msg, segments_to_msg
from depthlab_ros.progress import WIDTH
from depthlab_ros.sources import open_source
from depthlab_ros.truth import UNLABELLED, map_from_msg

ROAD = Segment(id=1, class_id=0, class_name="road")
CAR = Segment(id=2, class_id=13, class_name="car", is_thing=True)


def frame_of_maps(comparison, stamp, *, leave_out=(), **maps):
    """Give one 4x6 frame: road on the left, one car on the right, everything 10 m away."""
    ids = np.ones((4, 6), np.uint16)
    ids[:, 3:] = 2
    true = np.where(ids == 2, 13_001, 0).astype(np.uint16)
    depth = np.full((4, 6), 10.0, np.float32)
    image = np.zeros((4, 6, 3), np.uint8)
    parts = {
        "image": image,
        "annotated": image,
        "ids": ids,
        "depth": depth,
        "true_panoptic": true,
        "true_depth": depth,
    }
    for name, pixels in (parts | maps).items():
        if name not in leave_out:
            comparison.on_map(name, pixels, stamp)
    comparison.on_segments(SegmentArray(segments=[ROAD, CAR]), stamp)


def measure(comparison):
    accuracy = Accuracy()
    for frame in comparison.frames():
        accuracy.update(frame)
    return accuracy.result()


def test_a_prediction_that_is_true():
    comparison = Comparison(io.BytesIO())
    frame_of_maps(comparison, 1)
    frame_of_maps(comparison, 2)
    result = measure(comparison)
    assert (result["frames"], result["pq"], result["segment_depth"]) == (2, 1.0, 0.0)
    assert result["segments"] == 4


def test_errors_counted_by_hand():
    comparison = Comparison(io.BytesIO())
    depth = np.full((4, 6), 10.0, np.float32)
    depth[:, 3:] = 12.0
    true = np.zeros((4, 6), np.uint16)
    true[:, 2:] = 13_001  # one of its columns was taken for road
    frame_of_maps(comparison, 1, depth=depth, true_panoptic=true)
    result = measure(comparison)
    assert result["pq/road"] == pytest.approx(2 / 3)
    assert result["pq/car"] == pytest.approx(3 / 4)
    assert result["segment_depth/road"] == 0.0
    assert result["segment_depth/car"] == pytest.approx(0.2)


def test_frames_that_are_not_complete_are_left_out():
    comparison = Comparison(io.BytesIO())
    frame_of_maps(comparison, 1, leave_out=("depth",))
    frame_of_maps(comparison, 2)
    frame_of_maps(comparison, 3, leave_out=("true_depth",))
    assert len(comparison) == 1
    assert [frame.stamp_ns for frame in comparison.frames()] == [2]


def test_unlabelled_pixels_are_void_and_unknown_ids_too():
    comparison = Comparison(io.BytesIO())
    true = np.full((4, 6), UNLABELLED, np.uint16)
    ids = np.full((4, 6), 9, np.uint16)
    frame_of_maps(comparison, 1, true_panoptic=true, ids=ids)
    [frame] = comparison.frames()
    assert set(np.unique(frame.true_panoptic)) == set(np.unique(frame.panoptic)) == {VOID}


def test_things_of_a_class_are_numbered():
    segments = [
        Segment(id=i, class_id=c, class_name=CITYSCAPES.categories[c].name, is_thing=c > 10)
        for i, c in ((1, 2), (2, 11), (3, 13), (4, 13))
    ]
    ids = np.array([[0, 1, 2, 3, 4]], np.uint16)
    panoptic = panoptic_of(ids, SegmentArray(segments=segments), CITYSCAPES)
    assert panoptic.tolist() == [[VOID, 2_000, 11_001, 13_001, 13_002]]


@pytest.mark.parametrize(("number", "name"), [(13, "sheep"), (77, "car")])
def test_a_model_of_other_classes_is_refused(number, name):
    msg = SegmentArray(segments=[Segment(id=1, class_id=number, class_name=name)])
    with pytest.raises(ComparisonError, match=f"got class {number} '{name}', expected those of"):
        panoptic_of(np.ones((1, 1), np.uint16), msg, CITYSCAPES)


def test_the_truth_of_the_drive_as_prediction_is_perfect():
    comparison = Comparison(io.BytesIO())
    for index, source in enumerate(open_source("drive").frames()):
        if index % 20:
            continue
        truth, stamp = source.truth, source.stamp_ns
        panoptic = truth.panoptic.astype(np.int32)
        panoptic[panoptic == UNLABELLED] = VOID
        # A model makes no crowds.
        panoptic[np.isin(panoptic, [c * 1000 for c in CITYSCAPES.thing_ids])] = VOID
        sure = np.ones(panoptic.shape, np.float32)
        segments, ids = compute_segments(panoptic, truth.depth, sure, sure, CITYSCAPES)
        size = dict(zip(("height", "width"), panoptic.shape, strict=True))
        msg = segments_to_msg(segments, Header(), **size, model="truth", inference_ms=0.0)
        comparison.on_segments(msg, stamp)
        for name, pixels in (
            ("image", source.image),
            ("annotated", source.image),
            ("ids", map_from_msg(id_map_to_msg(ids, Header()))),
            ("depth", map_from_msg(depth_to_msg(truth.depth, Header()))),
            ("true_panoptic", truth.panoptic),
            ("true_depth", truth.depth),
        ):
            comparison.on_map(name, pixels, stamp)
    result = measure(comparison)
    assert result["frames"] == 4
    assert result["pq"] == result["pq_things"] == result["pq_stuff"] == 1.0
    assert result["segment_depth_mean"] == 0.0
    assert result["segments"] > 40


def test_table_fits_the_terminal():
    comparison = Comparison(io.BytesIO())
    frame_of_maps(comparison, 1)
    lines = format_accuracy(measure(comparison)).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert lines[2].split() == ["all", "100.0", "0.0", "%"]
    assert [line.split()[0] for line in lines[5:-1]] == ["road", "car"]


def test_an_empty_road_has_no_figures_of_things():
    comparison = Comparison(io.BytesIO())
    road = np.zeros((4, 6), np.uint16)
    frame_of_maps(comparison, 1, ids=road + 1, true_panoptic=road)
    result = measure(comparison)
    table = format_accuracy(result)
    assert [line.split()[0] for line in table.splitlines()[2:-1]] == ["all", "stuff", "road"]

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    figures = json.loads(accuracy_to_json(result), parse_constant=refuse)
    assert (figures["pq"], figures["pq_things"]) == (1.0, None)


def test_picture_shows_prediction_and_truth_side_by_side():
    comparison = Comparison(io.BytesIO())
    red = np.zeros((120, 160, 3), np.uint8)
    red[..., 0] = 255
    near, far = np.full((120, 160), 3.0, np.float32), np.full((120, 160), 90.0, np.float32)
    ids, road = np.ones((120, 160), np.uint16), np.zeros((120, 160), np.uint16)
    maps = {"ids": ids, "depth": near, "true_panoptic": road, "true_depth": far}
    frame_of_maps(comparison, 1, image=np.zeros_like(red), annotated=red, **maps)
    [frame] = comparison.frames()
    picture = draw_comparison(frame)
    assert picture.shape == (240, 320, 3)
    assert picture[5, 5].tolist() == [255, 0, 0]
    # Road over black: its colour, as strong as the overlay paints stuff.
    share = np.array(CITYSCAPES.categories[0].color) * 0.35
    np.testing.assert_allclose(picture[5, 165], share, atol=2)
    np.testing.assert_array_equal(picture[125, 5], colored_depth(near)[0, 0])
    np.testing.assert_array_equal(picture[125, 165], colored_depth(far)[0, 0])


def test_depth_has_the_colours_of_the_tags_and_black_where_unknown():
    depth = np.array([[np.nan, 3.0, 14.0, 60.0]], np.float32)
    colors = colored_depth(depth)[0].astype(int)
    assert colors[0].tolist() == [0, 0, 0]
    for color, metres in zip(colors[1:], depth[0, 1:], strict=True):
        np.testing.assert_allclose(color, distance_color(float(metres)), atol=14)
