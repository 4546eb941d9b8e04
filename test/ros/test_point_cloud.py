# SPDX-License-Identifier: Apache-2.0
"""Points and boxes: worked out by hand."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
from std_msgs.msg import Header

from depthlab_core.overlay import distance_color
from depthlab_ros.camera_model import CameraModel
from depthlab_ros.markers import thing_boxes
from depthlab_ros.point_cloud import POINT_DTYPE, point_cloud
from depthlab_ros.scene_conversions import point_cloud_to_msg

CAMERA = CameraModel.from_focal_length(6, 4, 10.0)  # middle at (2.5, 1.5)


def test_every_pixel_becomes_a_point():
    depth = np.full((4, 6), 20.0, np.float32)
    depth[0, 0], depth[0, 1], depth[0, 2] = np.nan, 0.0, -1.0
    image = np.zeros((4, 6, 3), np.uint8)
    image[3, 5] = (1, 2, 3)
    ids = np.arange(24, dtype=np.uint16).reshape(4, 6)

    points = point_cloud(depth, image, ids, CAMERA, 1)

    assert points.shape == (4, 6)
    last = points[3, 5]
    assert (last["x"], last["y"], last["z"]) == pytest.approx((5.0, 3.0, 20.0))
    assert last["rgb"] == 0x010203
    np.testing.assert_array_equal(points["segment_id"], ids)
    for name in ("x", "y", "z"):
        np.testing.assert_array_equal(np.isnan(points[name]), ~(depth > 0.0))


@pytest.mark.parametrize("stride", [2, 3, 5])
def test_stride_takes_pixels_in_the_middle_of_each_step(stride):
    rng = np.random.default_rng(0)
    depth = rng.uniform(1.0, 50.0, (4, 6)).astype(np.float32)
    image = rng.integers(0, 255, (4, 6, 3), dtype=np.uint8)
    ids = rng.integers(0, 9, (4, 6), dtype=np.uint16)
    every = point_cloud(depth, image, ids, CAMERA, 1)
    some = point_cloud(depth, image, ids, CAMERA, stride)
    np.testing.assert_array_equal(some, every[stride // 2 :: stride, stride // 2 :: stride])


def test_nothing_of_what_was_in_memory_before_goes_out(monkeypatch):
    depth, ids = np.ones((4, 6), np.float32), np.zeros((4, 6), np.uint16)

    def used_memory(shape, dtype):
        return np.frombuffer(b"x" * (4 * 6 * POINT_DTYPE.itemsize), dtype).reshape(shape).copy()

    monkeypatch.setattr(np, "empty", used_memory)
    cloud = point_cloud(depth, np.zeros((4, 6, 3), np.uint8), ids, CAMERA, 1)
    assert not cloud.view(np.uint8).reshape(24, -1)[:, 18:].any()


@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_the_message_is_little_endian_whatever_the_machine_is(monkeypatch, byteorder):
    monkeypatch.setattr(sys, "byteorder", byteorder)
    points = np.zeros((1, 1), POINT_DTYPE)
    points["x"] = 1.0
    msg = point_cloud_to_msg(points, Header())
    assert not msg.is_bigendian
    assert msg.data[:4].tobytes() == np.array(1.0, "<f4").tobytes()


def test_stride_beyond_the_image_leaves_nothing():
    depth = np.ones((4, 6), np.float32)
    ids = np.zeros((4, 6), np.uint16)
    assert point_cloud(depth, np.zeros((4, 6, 3), np.uint8), ids, CAMERA, 64).size == 0


def test_box_spans_the_2d_box_and_the_depth_of_the_thing(stub):
    _, car = stub.segments
    # x 4..7, y 1..5 at 12 m, 11 m to 14 m deep
    [box] = thing_boxes([car], CAMERA, "median", {})
    assert box.id == 2
    assert box.center == pytest.approx(((5.5 - 2.5) / 10 * 12, (3.0 - 1.5) / 10 * 12, 12.5))
    assert box.size == pytest.approx((4 / 10 * 12, 5 / 10 * 12, 3.0))
    assert box.text == "car 12.0 m"
    assert box.text_position[1] < box.center[1] - box.size[1] / 2
    assert box.color == distance_color(12.0)


def test_flat_thing_still_has_a_visible_box(stub):
    flat = dataclasses.replace(stub.segments[1], depth_p05=12.0, depth_p95=12.0)
    [box] = thing_boxes([flat], CAMERA, "median", {})
    assert box.size[2] == 0.1
    assert box.center[2] == 12.0


def test_stuff_and_things_without_distance_have_no_box(stub):
    road, car = stub.segments
    unknown = dataclasses.replace(car, depth_median=float("nan"))
    negative = dataclasses.replace(car, depth_median=-1.0)
    assert thing_boxes([road, unknown, negative], CAMERA, "median", {}) == []
