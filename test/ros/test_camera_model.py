# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera and its way to and from CameraInfo."""

from __future__ import annotations

import dataclasses
import math

import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest
from std_msgs.msg import Header

from depthlab_ros.camera_model import IDENTITY, CameraModel, focal_length_from_fov
from depthlab_ros.conversions import (
    camera_model_from_msg,
    camera_model_to_msg,
    stamp_from_ns,
    stamp_to_ns,
)


def test_focal_length_from_fov():
    assert focal_length_from_fov(640, 90.0) == pytest.approx(320.0)
    with pytest.raises(ValueError, match="got a field of view of 180"):
        focal_length_from_fov(640, 180.0)


def test_back_project_and_extent():
    camera = CameraModel.from_focal_length(101, 51, 50.0)
    assert camera.back_project(50, 25, 10.0) == (0.0, 0.0, 10.0)
    assert camera.back_project(100, 0, 10.0) == (10.0, -5.0, 10.0)
    assert camera.extent(50, 25, 10.0) == (10.0, 5.0)
    assert all(math.isnan(value) for value in camera.back_project(0, 0, math.nan))


def test_scale_keeps_rays():
    camera = CameraModel.from_focal_length(640, 480, 500.0)
    half = camera.scale_to(320, 240)
    assert (half.width, half.height, half.focal_length) == (320, 240, 250.0)
    # The outer corner of the image, half a pixel beyond the first pixel's centre.
    assert half.back_project(-0.5, -0.5, 7.0) == pytest.approx(
        camera.back_project(-0.5, -0.5, 7.0)
    )
    assert half.p[0] == 250.0
    assert half.p[2] == pytest.approx(half.k[2])


def test_scale_with_unknown_size_takes_the_image_size():
    camera = CameraModel(0, 0, k=(500.0, 0, 319.5, 0, 500.0, 239.5, 0, 0, 1))
    assert camera.scale_to(640, 480).focal_length == 500.0


def test_region_of_interest_becomes_the_image():
    msg = camera_model_to_msg(CameraModel.from_focal_length(640, 480, 500.0), Header())
    msg.roi = RegionOfInterest(x_offset=100, y_offset=50, width=320, height=240)
    camera = camera_model_from_msg(msg)
    assert (camera.width, camera.height) == (320, 240)
    assert (camera.k[2], camera.k[5]) == (219.5, 189.5)
    assert camera.focal_length == 500.0


def test_binning_is_of_the_region_of_interest():
    msg = camera_model_to_msg(CameraModel.from_focal_length(640, 480, 500.0), Header())
    msg.roi = RegionOfInterest(x_offset=100, y_offset=50, width=320, height=240)
    msg.binning_x, msg.binning_y = 2, 1
    camera = camera_model_from_msg(msg)
    assert (camera.width, camera.height) == (160, 240)
    assert (camera.k[0], camera.k[2]) == (250.0, (219.5 + 0.5) / 2 - 0.5)
    assert (camera.k[4], camera.k[5]) == (500.0, 189.5)


def test_rectified_images_have_the_projection_of_p_and_no_distortion():
    k = (500.0, 0.0, 300.0, 0.0, 510.0, 250.0, 0.0, 0.0, 1.0)
    raw = CameraModel(640, 480, k, d=(-0.3, 0.1, 0.0, 0.0, 0.0), distortion_model="plumb_bob")
    assert raw.rectified() is raw  # no P
    p = (400.0, 0.0, 320.0, -40.0, 0.0, 410.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    r = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    camera = dataclasses.replace(raw, p=p, r=r).rectified()
    assert camera.k == (400.0, 0.0, 320.0, 0.0, 410.0, 240.0, 0.0, 0.0, 1.0)
    assert (camera.d, camera.r, camera.p) == ((0.0,) * 5, IDENTITY, p)
    assert not camera.is_distorted


@pytest.mark.parametrize(
    ("size", "is_same"),
    [((960, 544), True), ((1920, 1080), True), ((1920, 1440), False), ((1088, 1920), False)],
)
def test_shape_of_another_size(size, is_same):
    assert CameraModel.from_focal_length(1920, 1088, 500.0).has_shape_of(*size) == is_same
    assert CameraModel(0, 0, k=(0.0,) * 9).has_shape_of(*size)  # unknown


def test_camera_info_round_trip():
    header = Header(frame_id="camera")
    msg = CameraInfo(header=header, width=4, height=3, distortion_model="plumb_bob")
    msg.d = [0.1, -0.2, 0.0, 0.0, 0.05]
    msg.k = [5.0, 0.0, 2.0, 0.0, 6.0, 1.0, 0.0, 0.0, 1.0]
    msg.r = [0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    msg.p = [5.0, 0.0, 2.0, -1.5, 0.0, 6.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    camera = camera_model_from_msg(msg)
    assert camera.is_calibrated
    assert camera.is_distorted
    assert camera_model_to_msg(camera, header) == msg


def test_uncalibrated():
    camera = CameraModel.from_focal_length(640, 480, 0.0)
    assert not camera.is_calibrated
    assert not camera.is_distorted
    assert list(camera_model_to_msg(camera, Header()).k) == [0.0] * 9


@pytest.mark.parametrize(
    ("index", "value"), [(0, -5.0), (4, 0.0), (0, math.inf), (4, math.nan), (2, math.nan)]
)
def test_intrinsics_that_no_lens_has_are_unknown(index, value):
    k = [5.0, 0.0, 2.0, 0.0, 6.0, 1.0, 0.0, 0.0, 1.0]
    assert camera_model_from_msg(CameraInfo(width=4, height=3, k=k)).is_calibrated
    k[index] = value
    assert not camera_model_from_msg(CameraInfo(width=4, height=3, k=k)).is_calibrated


def test_stamps_round_trip():
    assert stamp_to_ns(stamp_from_ns(1_700_000_000_123_456_789)) == 1_700_000_000_123_456_789
