# SPDX-License-Identifier: Apache-2.0
"""Semantic map, calibration, cloud, markers, compressed image and labels, over DDS."""

from __future__ import annotations

import array
import subprocess
import sys

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import Transition
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image, PointField
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from depthlab_core import CITYSCAPES, draw_prediction
from depthlab_ros.camera_model import CameraModel
from depthlab_ros.conversions import camera_model_to_msg
from depthlab_ros.markers import thing_boxes
from depthlab_ros.point_cloud import POINT_DTYPE, point_cloud
from depthlab_ros.vision_conversions import MISSING

HEADER = Header(stamp=Time(sec=1_700_000_001, nanosec=123_456_789), frame_id="front/optical")
CAMERA = CameraModel.from_focal_length(64, 48, 50.0)


def picture(height: int = 48, width: int = 64) -> np.ndarray:
    """Left half road, right half car by the stub's rule; depth = row, NaN in the last column."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, width // 2 :, 0] = 200
    image[..., 1] = np.arange(1, height + 1)[:, None]
    image[:, -1, 2] = 255
    return image


def image_msg(image: np.ndarray) -> Image:
    height, width = image.shape[:2]
    msg = Image(header=HEADER, height=height, width=width, encoding="rgb8", step=width * 3)
    msg.data = array.array("B", image.tobytes())
    return msg


def received(ros, until, name):
    until(lambda: len(ros.peer.received[name]) > 0)
    return ros.peer.received[name][0]


def test_semantic_is_mono8(ros, stub, until):
    ros.peer.listen("semantic")
    ros.node(stub)
    ros.peer.image_pub.publish(image_msg(picture()))

    msg = received(ros, until, "semantic")
    assert msg.header == HEADER
    assert (msg.height, msg.width, msg.encoding, msg.step) == (48, 64, "mono8", 64)
    categories = np.frombuffer(msg.data, np.uint8).reshape(48, 64)
    expected = np.where(np.arange(64) >= 32, 13, 0)[None].repeat(48, 0)
    np.testing.assert_array_equal(categories, expected)


def test_depth_camera_info_is_the_cameras_at_the_size_of_the_image(ros, stub, until):
    ros.peer.listen("depth/camera_info")
    node = ros.node(stub)
    twice = CameraModel(
        width=128,
        height=96,
        k=(100.0, 0.0, 60.0, 0.0, 102.0, 50.0, 0.0, 0.0, 1.0),
        d=(0.1, 0.0, 0.0, 0.0, 0.0),
        distortion_model="plumb_bob",
        p=(100.0, 0.0, 60.0, 0.0, 0.0, 102.0, 50.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    )
    ros.peer.camera_info_pub.publish(camera_model_to_msg(twice, HEADER))
    until(lambda: node.cameras[0].calibrations.find(0) is not None)
    ros.peer.image_pub.publish(image_msg(picture()))

    msg = received(ros, until, "depth/camera_info")
    assert msg == camera_model_to_msg(twice.scale_to(64, 48), HEADER)
    assert (msg.width, msg.height, msg.k[0], msg.k[2]) == (64, 48, 50.0, 29.75)
    assert (msg.distortion_model, msg.d[0]) == ("plumb_bob", 0.1)


def test_depth_camera_info_of_an_uncalibrated_camera_says_so(ros, stub, until):
    ros.peer.listen("depth/camera_info")
    ros.node(stub)
    ros.peer.image_pub.publish(image_msg(picture()))
    msg = received(ros, until, "depth/camera_info")
    assert (msg.header, msg.width, msg.height, msg.k[0]) == (HEADER, 64, 48, 0.0)


def test_compressed_annotated_is_the_overlay_as_jpeg(ros, stub, until):
    ros.peer.listen("image_annotated/compressed")
    ros.node(stub, jpeg_quality=100)
    image = picture()
    ros.peer.image_pub.publish(image_msg(image))

    msg = received(ros, until, "image_annotated/compressed")
    assert msg.header == HEADER
    assert msg.format == "rgb8; jpeg compressed bgr8"
    assert bytes(msg.data[:2]) == b"\xff\xd8"
    bgr = cv2.imdecode(np.frombuffer(msg.data, np.uint8), cv2.IMREAD_COLOR)
    drawn = draw_prediction(image, stub.predict(image), stub.labels)
    difference = np.abs(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(int) - drawn)
    assert difference.mean() < 6.0


def test_points_are_coloured_and_know_their_segment(ros, stub, until):
    ros.peer.listen("points")
    ros.node(stub, focal_length=50.0, points_stride=4)
    image = picture()
    ros.peer.image_pub.publish(image_msg(image))

    msg = received(ros, until, "points")
    assert msg.header == HEADER
    assert (msg.height, msg.width, msg.is_dense) == (12, 16, False)
    assert (msg.point_step, msg.row_step) == (20, 320)
    assert [(f.name, f.offset, f.datatype, f.count) for f in msg.fields] == [
        ("x", 0, PointField.FLOAT32, 1),
        ("y", 4, PointField.FLOAT32, 1),
        ("z", 8, PointField.FLOAT32, 1),
        ("rgb", 12, PointField.FLOAT32, 1),
        ("segment_id", 16, PointField.UINT16, 1),
    ]
    points = np.frombuffer(msg.data, POINT_DTYPE).reshape(12, 16)
    prediction = stub.predict(image)
    expected = point_cloud(prediction.depth, image, prediction.id_map, CAMERA, 4)
    for name in POINT_DTYPE.names:
        np.testing.assert_array_equal(points[name], expected[name])


def test_an_image_smaller_than_half_a_stride_gives_an_empty_cloud(ros, stub, until):
    ros.peer.listen("points", "image_annotated")
    ros.node(stub, focal_length=50.0, points_stride=64)
    ros.peer.image_pub.publish(image_msg(picture(24, 32)))

    msg = received(ros, until, "points")
    assert (msg.height, msg.width, msg.point_step, msg.row_step) == (0, 0, 20, 0)
    assert len(msg.data) == 0
    assert received(ros, until, "image_annotated").height == 24


def test_markers_are_a_box_and_a_text_per_thing(ros, stub, until):
    ros.peer.listen("markers")
    ros.node(stub, focal_length=50.0)
    ros.peer.image_pub.publish(image_msg(picture()))

    clear, box, text = received(ros, until, "markers").markers
    [expected] = thing_boxes(list(stub.segments), CAMERA, "median", {})
    assert clear.action == Marker.DELETEALL
    assert box.header == text.header == HEADER
    assert (box.ns, box.id, box.type, box.action) == ("box", 2, Marker.CUBE, Marker.ADD)
    position = box.pose.position
    assert (position.x, position.y, position.z) == pytest.approx(expected.center)
    assert (box.scale.x, box.scale.y, box.scale.z) == pytest.approx(expected.size)
    assert box.pose.orientation.w == 1.0
    assert (box.color.r, box.color.g, box.color.b) == pytest.approx(
        [value / 255 for value in expected.color]
    )
    assert (text.ns, text.id, text.type) == ("text", 2, Marker.TEXT_VIEW_FACING)
    assert text.text == "car 12.0 m #1"


def test_markers_of_things_that_are_gone_are_deleted(ros, stub, until):
    ros.peer.listen("markers")
    ros.node(stub, focal_length=50.0)
    messages = ros.peer.received["markers"]
    ros.peer.image_pub.publish(image_msg(picture()))
    until(lambda: len(messages) == 1)
    stub.segments = stub.segments[:1]
    ros.peer.image_pub.publish(image_msg(picture()))
    until(lambda: len(messages) == 2)
    assert [marker.action for marker in messages[1].markers] == [Marker.DELETEALL]


@pytest.mark.parametrize(
    "transition", [Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVE_SHUTDOWN]
)
def test_a_node_that_stops_takes_its_markers_away(ros, stub, until, transition):
    ros.peer.listen("markers")
    ros.node(stub, focal_length=50.0)
    ros.peer.image_pub.publish(image_msg(picture()))
    received(ros, until, "markers")
    assert ros.change_state(transition)
    until(lambda: len(ros.peer.received["markers"]) == 2)
    [clear] = ros.peer.received["markers"][1].markers
    assert clear.action == Marker.DELETEALL


def test_a_calibration_that_is_gone_takes_its_markers_away(ros, stub, until):
    ros.peer.listen("markers")
    node = ros.node(stub, focal_length=50.0)
    messages = ros.peer.received["markers"]
    ros.peer.image_pub.publish(image_msg(picture()))
    until(lambda: len(messages) == 1)
    node.set_parameters([Parameter("focal_length", value=0.0)])
    ros.peer.image_pub.publish(image_msg(picture()))
    until(lambda: len(messages) == 2)
    assert [marker.action for marker in messages[1].markers] == [Marker.DELETEALL]


def test_without_calibration_there_is_nothing_in_space(ros, stub, until):
    ros.peer.listen("points", "markers", "semantic")
    ros.node(stub)
    ros.peer.camera_info_pub.publish(CameraInfo(header=HEADER, width=64, height=48))
    ros.peer.image_pub.publish(image_msg(picture()))
    received(ros, until, "semantic")
    until(lambda: any(d.get("frames_published") == "1" for d in ros.peer.diagnostics))
    assert ros.peer.received["points"] == []
    for message in ros.peer.received["markers"]:
        assert [marker.action for marker in message.markers] == [Marker.DELETEALL]


def test_label_info_names_the_classes_for_late_subscribers(ros, stub, until):
    vision_msgs = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")
    ros.node(stub)
    messages = []
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    ros.peer.create_subscription(vision_msgs.LabelInfo, "label_info", messages.append, latched)
    until(lambda: bool(messages))
    assert [(entry.class_id, entry.class_name) for entry in messages[0].class_map] == [
        (category.id, category.name) for category in CITYSCAPES.categories
    ]


def test_detections_are_the_things(ros, stub, until):
    vision_msgs = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")
    messages = []
    ros.peer.create_subscription(
        vision_msgs.Detection2DArray, "detections", messages.append, QoSProfile(depth=5)
    )
    node = ros.node(stub, focal_length=50.0)
    until(lambda: node.count_subscribers("detections") == 1)
    ros.peer.image_pub.publish(image_msg(picture()))
    until(lambda: bool(messages))
    assert messages[0].header == HEADER
    [car] = messages[0].detections
    assert (car.header, car.id) == (HEADER, "1")
    center = car.bbox.center.position
    assert (center.x, center.y, car.bbox.size_x, car.bbox.size_y) == (5.5, 3.0, 4.0, 5.0)
    [result] = car.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("13", 0.5)
    position = result.pose.pose.position
    assert (position.x, position.y, position.z) == pytest.approx(
        CAMERA.back_project(5.5, 3.0, 12.0)
    )


def test_without_vision_msgs_one_line_says_what_is_left_out():
    code = (
        "import sys; sys.modules['vision_msgs'] = None; sys.modules['vision_msgs.msg'] = None\n"
        "from types import SimpleNamespace; import rclpy; from depthlab_core import CITYSCAPES\n"
        "from depthlab_core.config import PostprocessConfig\n"
        "from depthlab_ros.node import DepthLabNode; rclpy.init()\n"
        "model = SimpleNamespace(name='any', device='cpu', labels=CITYSCAPES)\n"
        "model.postprocess = PostprocessConfig()\n"
        "node = DepthLabNode(load_model=lambda *_: model); node.start()\n"
        # The node hears of its own topics a little later.
        "import time; names, deadline = set(), time.monotonic() + 250\n"
        "while '/points' not in names and time.monotonic() < deadline:\n"
        "    topics = node.get_publisher_names_and_types_by_node('depthlab_node', '/')\n"
        "    names = {name for name, _ in topics}\n"
        "print('/points' in names, '/detections' in names, '/label_info' in names)\n"
        "node.destroy_node()\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stderr.count(MISSING) == 1
    assert done.stdout.splitlines()[-1] == "True False False"
