# SPDX-License-Identifier: Apache-2.0
"""Disparity has holes exactly where a stereo matcher cannot measure."""

import numpy as np

from training.streets.disparity import disparity_from_depth, encode_disparity

FOCAL, BASELINE = 100.0, 0.2


def wall(depth, width=60, height=4):
    return np.full((height, width), depth, np.float32)


def disparity(depth, **options):
    return disparity_from_depth(depth, focal_length=FOCAL, baseline=BASELINE, **options)


def test_border_band_is_as_wide_as_the_disparity():
    result = disparity(wall(2.0))  # 10 px
    assert (result[:, :10] == 0).all()
    np.testing.assert_allclose(result[:, 10:], 10.0)


def test_background_left_of_a_near_thing_is_hidden():
    depth = wall(10.0)  # 2 px
    depth[:, 30:40] = 2.0  # 10 px: in the right image it covers columns 20..29
    result = disparity(depth)
    np.testing.assert_allclose(result[:, 30:40], 10.0)
    # Background columns 22..29 land on 20..27, and 40..41 would have landed on 38..39.
    assert (result[:, 22:30] == 0).all()
    np.testing.assert_allclose(result[:, 2:22], 2.0)
    np.testing.assert_allclose(result[:, 40:], 2.0)


def test_nearer_than_the_search_range_and_sky_have_no_measurement():
    depth = wall(10.0)
    depth[0] = 0.0
    depth[1] = 0.1
    result = disparity(depth, largest=60.0)
    assert (result[:2] == 0).all()
    assert (result[2:, 2:] > 0).all()


def test_coding_is_that_of_cityscapes():
    coded = encode_disparity(np.array([[0.0, 1.0, 25.5]], np.float32))
    assert coded.dtype == np.uint16
    np.testing.assert_array_equal(coded, [[0, 257, 6529]])
