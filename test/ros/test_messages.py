# SPDX-License-Identifier: Apache-2.0
"""The built messages carry the documented fields and survive serialisation."""

from __future__ import annotations

import array
import math

import numpy as np
import pytest
from depthlab_msgs.msg import Segment, SegmentArray
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

from depthlab_ros.conversions import depth_to_msg, id_map_to_msg, image_to_msg, semantic_to_msg
from depthlab_ros.image_codec import decode_image

SEGMENT_FIELDS = {
    "id": "uint16",
    "class_id": "uint16",
    "class_name": "string",
    "is_thing": "boolean",
    "score": "float",
    "track_id": "int32",
    "area": "uint32",
    "bbox": "sensor_msgs/RegionOfInterest",
    "centroid_u": "float",
    "centroid_v": "float",
    "depth": "float",
    "depth_mean": "float",
    "depth_median": "float",
    "depth_std": "float",
    "depth_p05": "float",
    "depth_p95": "float",
    "depth_valid_ratio": "float",
    "closing_speed": "float",
    "time_to_contact": "float",
    "position": "geometry_msgs/Point",
    "size": "geometry_msgs/Vector3",
}
SEGMENT_ARRAY_FIELDS = {
    "header": "std_msgs/Header",
    "height": "uint32",
    "width": "uint32",
    "model": "string",
    "inference_ms": "float",
    "segments": "sequence<depthlab_msgs/Segment>",
}


def test_segment_has_the_documented_fields_in_order() -> None:
    assert list(Segment.get_fields_and_field_types().items()) == list(SEGMENT_FIELDS.items())


def test_segment_array_has_the_documented_fields_in_order() -> None:
    fields = SegmentArray.get_fields_and_field_types()
    assert list(fields.items()) == list(SEGMENT_ARRAY_FIELDS.items())


def test_segment_array_survives_serialisation() -> None:
    segment = Segment(id=65535, class_id=13, class_name="car", is_thing=True, score=0.75)
    segment.track_id = -1
    segment.area = 4096 * 2160
    segment.bbox.x_offset, segment.bbox.width = 7, 4000
    segment.depth_median = 12.5
    segment.depth = math.nan
    segment.position.z = 12.5
    segment.size.x = math.nan
    message = SegmentArray(height=2160, width=4096, model="lite0", inference_ms=31.5)
    message.header.stamp.sec, message.header.stamp.nanosec = 1_700_000_000, 999_999_999
    message.header.frame_id = "camera_optical_frame"
    message.segments = [segment, Segment(id=2, class_name="road")]

    received = deserialize_message(serialize_message(message), SegmentArray)

    assert received.header == message.header
    assert (received.height, received.width, received.model) == (2160, 4096, "lite0")
    assert received.inference_ms == 31.5
    assert [s.id for s in received.segments] == [65535, 2]
    first = received.segments[0]
    assert (first.class_name, first.is_thing, first.track_id) == ("car", True, -1)
    assert (first.area, first.bbox.width, first.depth_median) == (4096 * 2160, 4000, 12.5)
    assert math.isnan(first.depth)
    assert first.position.z == 12.5
    assert math.isnan(first.size.x)


class OnePiece(np.ndarray):
    """An array that nobody may go through element by element."""

    def __iter__(self):
        raise AssertionError("gone through element by element")

    tolist = __iter__


@pytest.mark.parametrize(
    ("make", "pixels"),
    [
        (image_to_msg, np.full((48, 64, 3), 7, np.uint8)),
        (semantic_to_msg, np.full((48, 64), 7, np.uint8)),
        (id_map_to_msg, np.full((48, 64), 700, np.uint16)),
        (depth_to_msg, np.full((48, 64), 7.5, np.float32)),
    ],
)
def test_large_fields_are_filled_in_one_piece(make, pixels, monkeypatch) -> None:
    # Where fields are checked, whatever is not an array of the field's own kind takes its time.
    monkeypatch.setenv("ROS_PYTHON_CHECK_FIELDS", "1")
    msg = make(pixels.view(OnePiece), Header())
    assert (type(msg.data), msg.data.typecode) == (array.array, "B")
    assert msg.data.tobytes() == pixels.tobytes()


def test_maps_may_lie_in_memory_in_any_order() -> None:
    depth = np.arange(1, 13, dtype=np.float32).reshape(3, 4).T
    assert depth_to_msg(depth, Header()).data.tobytes() == depth.tobytes()


def test_large_fields_are_read_where_they_lie() -> None:
    msg = image_to_msg(np.full((48, 64, 3), 7, np.uint8), Header())
    image = decode_image(
        msg.data,
        height=msg.height,
        width=msg.width,
        encoding=msg.encoding,
        step=msg.step,
        is_bigendian=bool(msg.is_bigendian),
    )
    assert np.shares_memory(image, np.frombuffer(msg.data, np.uint8))
