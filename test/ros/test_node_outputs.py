# SPDX-License-Identifier: Apache-2.0
"""What the node publishes, over DDS: exact values, exact headers, nothing unasked."""

from __future__ import annotations

import array
import math

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from depthlab_core import draw_prediction
from depthlab_ros import outputs

HEADER = Header(stamp=Time(sec=1_700_000_001, nanosec=123_456_789), frame_id="front/optical")


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    """Left half road, right half car by the stub's rule; depth = row, NaN in the last column."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, width // 2 :, 0] = 200
    image[..., 1] = np.arange(1, height + 1)[:, None]
    image[:, -1, 2] = 255
    return image


def image_msg(image: np.ndarray, header: Header = HEADER) -> Image:
    return Image(
        header=header,
        height=image.shape[0],
        width=image.shape[1],
        encoding="rgb8",
        step=image.shape[1] * 3,
        data=array.array("B", image.tobytes()),
    )


def camera_info(width: int, height: int, focal_length: float, header: Header = HEADER):
    k = [focal_length, 0.0, (width - 1) / 2, 0.0, focal_length, (height - 1) / 2, 0.0, 0.0, 1.0]
    return CameraInfo(header=header, width=width, height=height, k=k)


def received(ros, until, name):
    until(lambda: len(ros.peer.received[name]) > 0)
    return ros.peer.received[name][0]


def test_segments_carry_every_field_and_the_image_header(ros, stub, until):
    ros.peer.listen("segments")
    ros.node(stub)
    ros.peer.image_pub.publish(image_msg(picture()))

    msg = received(ros, until, "segments")
    assert msg.header == HEADER
    assert (msg.height, msg.width, msg.model) == (48, 64, "stub")
    assert 0.0 <= msg.inference_ms < 1000.0
    road, car = msg.segments
    assert (road.id, road.class_id, road.class_name, road.is_thing) == (1, 0, "road", False)
    assert (road.score, road.area, road.track_id) == (0.75, 24, -1)
    assert math.isnan(road.depth)
    assert math.isnan(road.depth_mean)
    assert road.depth_valid_ratio == 0.0
    assert (car.id, car.class_id, car.class_name, car.is_thing) == (2, 13, "car", True)
    assert (car.score, car.area, car.track_id) == (0.5, 20, 1)
    box = car.bbox
    assert (box.x_offset, box.y_offset, box.width, box.height) == (4, 1, 4, 5)
    assert (car.centroid_u, car.centroid_v) == (5.5, 3.0)
    assert (car.depth, car.depth_mean, car.depth_median) == (12.0, 12.5, 12.0)
    assert (car.depth_std, car.depth_p05, car.depth_p95) == (0.25, 11.0, 14.0)
    assert car.depth_valid_ratio == 0.875
    # Without CameraInfo nobody knows where it is.
    assert all(math.isnan(v) for v in (car.position.x, car.position.y, car.position.z))
    assert all(math.isnan(v) for v in (car.size.x, car.size.y, car.size.z))


def test_id_map_is_mono16(ros, stub, until):
    ros.peer.listen("panoptic/id")
    ros.node(stub)
    ros.peer.image_pub.publish(image_msg(picture()))

    msg = received(ros, until, "panoptic/id")
    assert msg.header == HEADER
    assert (msg.height, msg.width, msg.encoding, msg.step) == (48, 64, "mono16", 128)
    ids = np.frombuffer(msg.data, np.uint16).reshape(48, 64)
    np.testing.assert_array_equal(ids, np.where(np.arange(64) >= 32, 2, 1)[None].repeat(48, 0))


def test_depth_is_metres_with_nan_where_unknown(ros, stub, until):
    ros.peer.listen("depth/image")
    ros.node(stub)
    image = picture()
    image[0, :, 1] = 0  # a depth of 0 m cannot be
    ros.peer.image_pub.publish(image_msg(image))

    msg = received(ros, until, "depth/image")
    assert msg.header == HEADER
    assert (msg.height, msg.width, msg.encoding, msg.step) == (48, 64, "32FC1", 256)
    depth = np.frombuffer(msg.data, np.float32).reshape(48, 64)
    expected = np.arange(1, 49, dtype=np.float32)[:, None].repeat(64, 1)
    expected[0] = expected[:, -1] = np.nan
    np.testing.assert_array_equal(depth, expected)


def test_annotated_is_the_overlay_of_the_core(ros, stub, until):
    ros.peer.listen("image_annotated")
    ros.node(stub)
    image = picture()
    ros.peer.image_pub.publish(image_msg(image))

    msg = received(ros, until, "image_annotated")
    assert msg.header == HEADER
    assert (msg.height, msg.width, msg.encoding, msg.step) == (48, 64, "rgb8", 192)
    drawn = np.frombuffer(msg.data, np.uint8).reshape(48, 64, 3)
    np.testing.assert_array_equal(drawn, draw_prediction(image, stub.predict(image), stub.labels))


def test_camera_info_gives_focal_length_and_positions(ros, stub, until):
    ros.peer.listen("segments")
    node = ros.node(stub)
    # Calibrated at twice the image's size: 100 px there are 50 px here.
    ros.peer.camera_info_pub.publish(camera_info(128, 96, 100.0))
    until(lambda: node.cameras[0].calibrations.find(0) is not None)
    ros.peer.image_pub.publish(image_msg(picture()))

    car = received(ros, until, "segments").segments[1]
    assert stub.focal_lengths == [50.0]
    assert car.position.x == pytest.approx((5.5 - 31.5) / 50.0 * 12.0)
    assert car.position.y == pytest.approx((3.0 - 23.5) / 50.0 * 12.0)
    assert car.position.z == 12.0
    assert (car.size.x, car.size.y, car.size.z) == pytest.approx((0.96, 1.2, 3.0))


def test_uncalibrated_camera_info_counts_as_none(ros, stub, until):
    ros.peer.listen("segments")
    node = ros.node(stub)
    ros.peer.camera_info_pub.publish(CameraInfo(header=HEADER, width=64, height=48))
    until(lambda: node.cameras[0].calibrations.find(0) is not None)
    ros.peer.image_pub.publish(image_msg(picture()))

    car = received(ros, until, "segments").segments[1]
    assert stub.focal_lengths == [None]
    assert math.isnan(car.position.x)


def test_camera_info_that_was_published_once_before_the_node_came(ros, stub, until):
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    ros.peer.destroy_publisher(ros.peer.camera_info_pub)
    ros.peer.camera_info_pub = ros.peer.create_publisher(CameraInfo, "camera_info", latched)
    ros.peer.camera_info_pub.publish(camera_info(64, 48, 100.0))
    ros.peer.listen("segments")
    asked = "qos_overrides./camera_info.subscription."
    node = ros.node(
        stub, **{asked + "durability": "transient_local", asked + "reliability": "reliable"}
    )
    until(lambda: node.cameras[0].calibrations.find(0) is not None)
    ros.peer.image_pub.publish(image_msg(picture()))
    received(ros, until, "segments")
    assert stub.focal_lengths == [100.0]


def test_parameter_focal_length_overrules_camera_info(ros, stub, until):
    ros.peer.listen("segments")
    node = ros.node(stub, focal_length=80.0)
    ros.peer.camera_info_pub.publish(camera_info(64, 48, 100.0))
    until(lambda: node.cameras[0].calibrations.find(0) is not None)
    ros.peer.image_pub.publish(image_msg(picture()))

    received(ros, until, "segments")
    assert stub.focal_lengths == [80.0]


def test_depth_statistic_changes_while_running(ros, stub, until, parameter_overrides):
    ros.peer.listen("segments")
    node = ros.node(stub, depth_statistic="p05")
    ros.peer.image_pub.publish(image_msg(picture()))
    assert received(ros, until, "segments").segments[1].depth == 11.0

    assert node.set_parameters(parameter_overrides(depth_statistic="p95"))[0].successful
    ros.peer.image_pub.publish(image_msg(picture()))
    until(lambda: len(ros.peer.received["segments"]) == 2)
    assert ros.peer.received["segments"][1].segments[1].depth == 14.0


def test_images_of_changing_size(ros, stub, until):
    ros.peer.listen("depth/image")
    ros.node(stub)
    for count, (height, width) in enumerate([(48, 64), (600, 800), (32, 32)], start=1):
        ros.peer.image_pub.publish(image_msg(picture(height, width)))
        until(lambda count=count: len(ros.peer.received["depth/image"]) == count)
        msg = ros.peer.received["depth/image"][-1]
        assert (msg.height, msg.width) == (height, width)


def test_compressed_input(ros, stub, until):
    ros.peer.listen("segments")
    ros.node(stub, image_transport="compressed")
    image = picture()
    png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
    message = CompressedImage(header=HEADER, format="rgb8; png compressed bgr8")
    message.data = array.array("B", png.tobytes())
    ros.peer.compressed_pub.publish(message)

    assert received(ros, until, "segments").header == HEADER
    np.testing.assert_array_equal(stub.images[0], image)


def test_lazy_node_does_nothing_while_nobody_listens(ros, stub, until, parameter_overrides):
    node = ros.node(stub)
    ros.peer.image_pub.publish(image_msg(picture()))
    until(lambda: any(d.get("frames_received") == "1" for d in ros.peer.diagnostics))
    assert stub.images == []

    assert node.set_parameters(parameter_overrides(lazy=False))[0].successful
    ros.peer.image_pub.publish(image_msg(picture()))
    until(lambda: len(stub.images) == 1)


def test_only_the_outputs_with_a_listener_are_made(ros, stub, until, monkeypatch):
    ros.peer.listen("panoptic/id")
    ros.node(stub)
    drawn = []
    monkeypatch.setattr(outputs, "draw_prediction", drawn.append)
    ros.peer.image_pub.publish(image_msg(picture()))
    received(ros, until, "panoptic/id")
    until(lambda: any(d.get("frames_published") == "1" for d in ros.peer.diagnostics))
    assert drawn == []
