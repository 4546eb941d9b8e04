# SPDX-License-Identifier: Apache-2.0
"""Ground truth in bags, and the drive that comes with the package."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import Image

from depthlab_core import CITYSCAPES
from depthlab_ros.image_codec import ConversionError
from depthlab_ros.sources import BUNDLED, open_source
from depthlab_ros.truth import UNLABELLED, decode_depth, decode_panoptic, map_from_msg


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def test_depth_as_image_transport_packs_it():
    steps = np.array([[0, 101, 1001]], np.uint16)
    depth = decode_depth(struct.pack("<iff", 0, 500.0, 1.0) + png(steps))
    np.testing.assert_allclose(depth, [[np.nan, 5.0, 0.5]])
    assert depth.dtype == np.float32


def test_panoptic_comes_out_as_it_went_in():
    values = np.array([[0, 13_001, UNLABELLED]], np.uint16)
    np.testing.assert_array_equal(decode_panoptic(png(values)), values)


@pytest.mark.parametrize("data", [b"", b"no image", png(np.zeros((2, 2, 3), np.uint8))])
def test_other_data_is_told(data):
    with pytest.raises(ConversionError, match="expected a grey 16-bit PNG"):
        decode_panoptic(data)
    with pytest.raises(ConversionError, match="expected a"):
        decode_depth(data)


def test_maps_of_messages():
    pixels = np.array([[1, 2], [3, 65535]], ">u2")
    msg = Image(height=2, width=2, encoding="mono16", is_bigendian=1, data=pixels.tobytes())
    assert map_from_msg(msg).tolist() == [[1, 2], [3, 65535]]
    with pytest.raises(ConversionError, match="got encoding 'rgb8'"):
        map_from_msg(Image(encoding="rgb8"))


def test_the_drive_that_comes_with_the_package():
    source = open_source("drive")
    assert (source.frame_count, source.has_truth) == (80, True)
    assert source.rate == pytest.approx(10.0)
    assert sum(path.stat().st_size for path in BUNDLED["drive"].iterdir()) < 8_000_000
    frames = list(source.frames())
    assert [frame.time for frame in frames] == pytest.approx([k / 10 for k in range(80)])
    seen: set[int] = set()
    holed: set[int] = set()
    for frame in frames:
        assert frame.camera is not None
        assert frame.camera.is_calibrated
        assert frame.truth is not None
        panoptic, depth = frame.truth.panoptic, frame.truth.depth
        assert panoptic.shape == depth.shape == frame.image.shape[:2]
        labelled = panoptic != UNLABELLED
        assert labelled.mean() > 0.8
        assert panoptic[labelled].max() < len(CITYSCAPES) * CITYSCAPES.label_divisor
        sky = panoptic == 10 * CITYSCAPES.label_divisor
        assert np.isnan(depth[sky]).all()
        holes = np.isnan(depth) & labelled & ~sky
        holed |= set(np.unique(panoptic[holes] // CITYSCAPES.label_divisor).tolist())
        assert np.nanmin(depth) > 0.1
        seen |= set(np.unique(panoptic[labelled] // CITYSCAPES.label_divisor).tolist())
    names = {CITYSCAPES.categories[category].name for category in seen}
    assert {"road", "building", "sky", "person", "car"} <= names
    # Nothing but a wheel's spokes, which a pixel of the label may miss.
    assert {CITYSCAPES.categories[category].name for category in holed} == {"bicycle"}
    first, last = frames[0].image.astype(int), frames[-1].image.astype(int)
    assert np.abs(first - last).mean() > 10
