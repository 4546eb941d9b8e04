# SPDX-License-Identifier: Apache-2.0
"""Targets equal the reference's, and mean what they should."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from depthlab_core.labels import CITYSCAPES
from training.targets import TargetGenerator, TargetSegment, segments_of

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def reference() -> dict[str, np.ndarray]:
    with np.load(DATA / "panoptic_deeplab_targets.npz") as arrays:
        return dict(arrays)


def test_targets_equal_the_reference(reference):
    segments = [
        TargetSegment(entry["id"], entry["category_id"], bool(entry["iscrowd"]))
        for entry in json.loads(str(reference["segments"]))
    ]
    parameters = json.loads(str(reference["kw"]))
    generate = TargetGenerator(CITYSCAPES, **parameters, ignore_crowd_in_center=False)
    targets = generate(reference["panoptic"], segments)
    np.testing.assert_array_equal(targets.semantic, reference["sem_seg"])
    np.testing.assert_array_equal(targets.semantic_weight, reference["sem_seg_weights"])
    np.testing.assert_array_equal(targets.center_weight, reference["center_weights"])
    np.testing.assert_array_equal(targets.offset_weight, reference["offset_weights"])
    np.testing.assert_allclose(targets.center_heatmap[0], reference["center"], atol=1e-6)
    np.testing.assert_allclose(targets.offset, reference["offset"], atol=1e-5)
    np.testing.assert_allclose(targets.center_points, reference["center_points"], atol=1e-9)


def reference_targets(panoptic, segments, sigma, small_area, small_weight, ignore_crowd):
    """Straight from the definition, one segment at a time."""
    height, width = panoptic.shape
    semantic = np.full(panoptic.shape, 255, np.uint8)
    weight = np.ones(panoptic.shape)
    heatmap = np.zeros(panoptic.shape)
    offset = np.zeros((2, *panoptic.shape))
    ys, xs = np.mgrid[0:height, 0:width]
    for segment in segments:
        mask = panoptic == segment.id
        semantic[mask] = segment.category_id
        if segment.category_id not in CITYSCAPES.thing_ids or not mask.any():
            continue
        if mask.sum() < small_area:
            weight[mask] = small_weight
        y, x = ys[mask].mean(), xs[mask].mean()
        offset[:, mask] = [y - ys[mask], x - xs[mask]]
        if segment.is_crowd and ignore_crowd:
            continue
        dy, dx = ys - round(y), xs - round(x)
        gaussian = np.exp(-(dy**2 + dx**2) / (2 * sigma**2))
        reach = int(3 * sigma + 1)
        gaussian[(abs(dy) > reach) | (abs(dx) > reach)] = 0
        heatmap = np.maximum(heatmap, gaussian)
    return semantic, weight, heatmap, offset


@given(
    labels=hnp.arrays(
        np.int32,
        st.tuples(st.integers(1, 24), st.integers(1, 24)),
        elements=st.sampled_from([-1, 0, 2000, 11000, 11001, 11002, 13001, 18001]),
    ),
    sigma=st.sampled_from([1, 2, 3, 10]),
    small_area=st.integers(0, 60),
    ignore_crowd=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_targets_equal_their_definition(labels, sigma, small_area, ignore_crowd):
    segments = segments_of(labels, CITYSCAPES)
    generate = TargetGenerator(
        CITYSCAPES,
        sigma=sigma,
        small_instance_area=small_area,
        small_instance_weight=5,
        ignore_crowd_in_center=ignore_crowd,
    )
    targets = generate(labels, segments)
    semantic, weight, heatmap, offset = reference_targets(
        labels, segments, sigma, small_area, 5, ignore_crowd
    )
    np.testing.assert_array_equal(targets.semantic, semantic)
    np.testing.assert_array_equal(targets.semantic_weight, weight)
    np.testing.assert_allclose(targets.center_heatmap[0], heatmap, atol=1e-6)
    np.testing.assert_allclose(targets.offset, offset, atol=1e-5)
    is_crowd = labels == 11000
    np.testing.assert_array_equal(targets.center_weight[0], (labels >= 0) & ~is_crowd)
    np.testing.assert_array_equal(targets.offset_weight[0], (labels > 11000) & ~is_crowd)


def test_nothing_labelled_gives_weight_zero():
    targets = TargetGenerator(CITYSCAPES)(np.full((4, 6), -1, np.int32), [])
    assert (targets.semantic == 255).all()
    assert not targets.center_weight.any()
    assert not targets.offset_weight.any()


def test_a_segment_that_was_cropped_away_has_no_center():
    targets = TargetGenerator(CITYSCAPES)(np.zeros((4, 6), np.int32), [TargetSegment(7, 13)])
    assert targets.center_points.shape == (0, 2)
    assert not targets.center_heatmap.any()


def test_a_crowd_has_no_center_unless_it_should_as_in_the_reference():
    # The crowd is in two parts, with road where it is on average.
    panoptic = np.zeros((9, 21), np.int32)
    panoptic[3:6, 0:3] = panoptic[3:6, 18:21] = 11_000
    panoptic[0:3, 0:3] = 11_001
    segments = [TargetSegment(0, 0), TargetSegment(11_000, 11, True), TargetSegment(11_001, 11)]
    targets = TargetGenerator(CITYSCAPES, sigma=1)(panoptic, segments)
    np.testing.assert_array_equal(targets.center_points, [[1, 1]])
    assert targets.center_heatmap[0, 1, 1] == 1
    assert not targets.center_heatmap[0, :, 6:].any()
    assert not targets.center_weight[0][panoptic == 11_000].any()

    generate = TargetGenerator(CITYSCAPES, sigma=1, ignore_crowd_in_center=False)
    targets = generate(panoptic, segments)
    np.testing.assert_array_equal(targets.center_points, [[4, 10], [1, 1]])
    assert targets.center_heatmap[0, 4, 10] == 1


def test_crowds_can_be_unlabelled_in_the_semantic_target():
    generate = TargetGenerator(CITYSCAPES, ignore_crowd_in_semantic=True)
    targets = generate(np.full((4, 6), 5, np.int32), [TargetSegment(5, 11, is_crowd=True)])
    assert (targets.semantic == 255).all()


def test_stuff_can_have_offset_weight():
    generate = TargetGenerator(CITYSCAPES, ignore_stuff_in_offset=False)
    targets = generate(np.zeros((4, 6), np.int32), [TargetSegment(0, 0)])
    assert targets.offset_weight.all()


def test_sigma_must_be_positive():
    with pytest.raises(ValueError, match="sigma: got 0"):
        TargetGenerator(CITYSCAPES, sigma=0)


def test_balanced_offsets_weigh_things_instead_of_pixels():
    panoptic = np.full((12, 12), 7, np.int32)
    panoptic[:8, :8] = 26001
    panoptic[10, 10:12] = 26002
    segments = [TargetSegment(26001, 13), TargetSegment(26002, 13), TargetSegment(7, 0)]
    for power, share in ((0.0, 64 / 66), (0.5, 8 / (8 + 2**0.5)), (1.0, 0.5)):
        generate = TargetGenerator(CITYSCAPES, offset_balance=power)
        weight = generate(panoptic, segments).offset_weight[0]
        assert weight[:8, :8].sum() / weight.sum() == pytest.approx(share, rel=1e-6)
        assert not weight[panoptic == 7].any()


def test_balanced_depth_weighs_segments_instead_of_pixels():
    panoptic = np.full((12, 12), 7, np.int32)
    panoptic[:8, :8] = 26001
    panoptic[10, 10:12] = -1
    segments = [TargetSegment(26001, 13), TargetSegment(7, 0)]
    for power, ratio in ((0.0, 1.0), (0.5, (78 / 64) ** 0.5), (1.0, 78 / 64)):
        generate = TargetGenerator(CITYSCAPES, depth_balance=power)
        weight = generate(panoptic, segments).depth_weight
        assert weight[0, 0] / weight[11, 0] == pytest.approx(ratio, rel=1e-6)
        assert weight[panoptic >= 0].mean() == pytest.approx(1, rel=1e-6)
        np.testing.assert_array_equal(weight[panoptic < 0], 1)
    assert (generate(panoptic, []).depth_weight == 1).all()
