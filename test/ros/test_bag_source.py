# SPDX-License-Identifier: Apache-2.0
"""Bags as the player reads them: which topics it takes, and what it makes of damaged ones."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from rclpy.serialization import serialize_message
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from depthlab_ros.camera_model import CameraModel
from depthlab_ros.conversions import camera_model_to_msg, image_to_msg, stamp_from_ns
from depthlab_ros.frame_source import SourceError
from depthlab_ros.sources import open_source

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 50_000_000


def picture(number: int) -> np.ndarray:
    """A grey image whose brightness is its number times 20."""
    return np.full((48, 64, 3), number * 20, np.uint8)


def brightness(image: np.ndarray) -> int:
    return round(float(image.mean()) / 20)


def write_bag(
    folder: Path,
    storage: StoragePlugin,
    *,
    compressed: bool = False,
    with_camera_info: bool = True,
    count: int = 5,
    compression: CompressionMode = CompressionMode.NONE,
) -> Path:
    typestore = get_typestore(Stores.ROS2_JAZZY)
    kind = "sensor_msgs/msg/CompressedImage" if compressed else "sensor_msgs/msg/Image"
    topic = "/front/image_raw" + ("/compressed" if compressed else "")
    writer = Writer(folder, version=9, storage_plugin=storage)
    if compression != CompressionMode.NONE:
        writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        other = writer.add_connection("/chatter", "std_msgs/msg/Header", typestore=typestore)
        images = writer.add_connection(topic, kind, typestore=typestore)
        infos = writer.add_connection(
            "/front/camera_info", "sensor_msgs/msg/CameraInfo", typestore=typestore
        )
        for number in range(count):
            received = START_NS + number * PERIOD_NS + 7_000_000
            header = Header(stamp=stamp_from_ns(START_NS + number * PERIOD_NS), frame_id="front")
            writer.write(other, received, serialize_message(header))
            msg: Image | CompressedImage = image_to_msg(picture(number), header, "bgr8")
            if compressed:
                png = cv2.imencode(".png", picture(number))[1].tobytes()
                msg = CompressedImage(header=header, format="png", data=png)
            writer.write(images, received, serialize_message(msg))
            if with_camera_info:
                camera = CameraModel.from_focal_length(64, 48, 55.0)
                writer.write(
                    infos, received + 1000, serialize_message(camera_model_to_msg(camera, header))
                )
    return folder


@pytest.mark.parametrize("storage", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
@pytest.mark.parametrize("compressed", [False, True])
def test_bag(tmp_path, storage, compressed):
    source = open_source(str(write_bag(tmp_path / "bag", storage, compressed=compressed)))
    assert source.frame_count == 5
    assert source.rate == pytest.approx(20.0, rel=1e-3)
    frames = list(source.frames())
    assert [brightness(frame.image) for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.time for frame in frames] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])
    assert [frame.stamp_ns for frame in frames] == [START_NS + i * PERIOD_NS for i in range(5)]
    assert {frame.frame_id for frame in frames} == {"front"}
    # Even the first image has its calibration, though it was recorded behind it.
    assert [frame.camera.focal_length for frame in frames] == [55.0] * 5


@pytest.mark.parametrize(
    ("storage", "name"), [(StoragePlugin.MCAP, "bag.mcap"), (StoragePlugin.SQLITE3, "bag.db3")]
)
def test_single_bag_file(tmp_path, storage, name):
    write_bag(tmp_path / "bag", storage)
    assert len(list(open_source(str(tmp_path / "bag" / name)).frames())) == 5


@pytest.mark.parametrize(
    ("storage", "compression", "name", "is_so"),
    [
        (StoragePlugin.MCAP, CompressionMode.MESSAGE, "bag.mcap", "whose messages are"),
        (StoragePlugin.SQLITE3, CompressionMode.MESSAGE, "bag.db3", "whose messages are"),
        (StoragePlugin.SQLITE3, CompressionMode.FILE, "bag.db3.zstd", "which is"),
    ],
)
def test_compressed_bag_needs_its_folder(tmp_path, storage, compression, name, is_so):
    bag = write_bag(tmp_path / "bag", storage, compression=compression)
    frames = open_source(str(bag)).frames()
    assert [brightness(frame.image) for frame in frames] == [0, 1, 2, 3, 4]
    with pytest.raises(SourceError) as error:
        open_source(str(bag / name))
    assert str(error.value) == (
        f"got '{bag}/{name}', {is_so} compressed, expected the folder of its bag, with "
        "metadata.yaml"
    )


def test_bag_of_ros_1_is_told_with_what_converts_it(tmp_path):
    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    bag = tmp_path / "a drive.bag"
    with Writer1(bag) as writer:
        images = writer.add_connection("/image", "sensor_msgs/msg/Image", typestore=store)
        stamp = types["builtin_interfaces/msg/Time"](sec=7, nanosec=500)
        header = types["std_msgs/msg/Header"](seq=3, stamp=stamp, frame_id="front")
        data = picture(4).reshape(-1)
        msg = types["sensor_msgs/msg/Image"](header, 48, 64, "bgr8", 0, 64 * 3, data)
        writer.write(images, START_NS, store.serialize_ros1(msg, "sensor_msgs/msg/Image"))
    with pytest.raises(SourceError) as error:
        open_source(str(bag))
    told, command = str(error.value).split(": ")
    assert told == f"got '{bag}', a bag of ROS 1, expected a rosbag2"
    program, *arguments = shlex.split(command)
    subprocess.run([Path(sys.executable).with_name(program), *arguments], check=True)
    [frame] = open_source(str(tmp_path / "a drive")).frames()
    assert brightness(frame.image) == 4
    assert (frame.stamp_ns, frame.frame_id) == (7_000_000_500, "front")


def test_bag_without_camera_info(tmp_path):
    bag = write_bag(tmp_path / "bag", StoragePlugin.MCAP, with_camera_info=False)
    assert [frame.camera for frame in open_source(str(bag)).frames()] == [None] * 5


def test_bag_topic(tmp_path):
    bag = str(write_bag(tmp_path / "bag", StoragePlugin.MCAP))
    assert open_source(bag, bag_topic="/front/image_raw").frame_count == 5
    with pytest.raises(SourceError, match="image topic '/rear/image_raw', it has: /front/image"):
        open_source(bag, bag_topic="/rear/image_raw")


@pytest.mark.parametrize("storage", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_bag_whose_image_topic_is_empty(tmp_path, storage):
    bag = write_bag(tmp_path / "bag", storage, count=0)
    with pytest.raises(SourceError) as error:
        open_source(str(bag))
    assert str(error.value) == f"got bag '{bag}' without images on '/front/image_raw'"


def write_image_topics(folder: Path, encodings: dict[str, str]) -> str:
    """Write a bag with one image of 2 x 2 pixels on each topic, in the encoding told."""
    typestore = get_typestore(Stores.ROS2_JAZZY)
    bytes_per_pixel = {"mono8": 1, "mono16": 2, "16UC1": 2, "32FC1": 4}
    with Writer(folder, version=9) as writer:
        for number, (topic, encoding) in enumerate(encodings.items()):
            connection = writer.add_connection(topic, "sensor_msgs/msg/Image", typestore=typestore)
            step = 2 * bytes_per_pixel[encoding]
            msg = Image(height=2, width=2, encoding=encoding, step=step)
            msg.data.frombytes(bytes([20 * number]) * (2 * step))
            writer.write(connection, START_NS, serialize_message(msg))
    return str(folder)


@pytest.mark.parametrize("depth", ["16UC1", "32FC1"])
def test_the_depth_of_a_depth_camera_is_not_taken_for_the_camera(tmp_path, depth):
    topics = {"/aligned_depth_to_color/image_raw": depth, "/color/image_raw": "mono8"}
    bag = write_image_topics(tmp_path / "bag", topics)
    [frame] = open_source(bag).frames()
    assert brightness(frame.image) == 1
    # Whoever asks for it gets it, or is told why not.
    asked = open_source(bag, bag_topic="/aligned_depth_to_color/image_raw")
    if depth == "16UC1":
        assert len(list(asked.frames())) == 1
    else:
        with pytest.raises(
            SourceError, match="topic '/aligned_depth_to_color/image_raw': got enc"
        ):
            list(asked.frames())


def test_truth_that_was_recorded_raw_is_not_taken_for_the_camera(tmp_path):
    topics = {"/truth/depth": "32FC1", "/truth/panoptic": "mono16", "/image_raw": "mono8"}
    [frame] = open_source(write_image_topics(tmp_path / "bag", topics)).frames()
    assert brightness(frame.image) == 2


def test_a_bag_with_depth_alone_plays_that(tmp_path):
    topics = {"/a/image_raw": "16UC1", "/b/image_raw": "16UC1"}
    assert open_source(write_image_topics(tmp_path / "bag", topics)).frame_count == 1


@pytest.mark.parametrize("storage", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_the_rate_of_a_bag_that_other_topics_fill(tmp_path, storage):
    typestore = get_typestore(Stores.ROS2_JAZZY)
    with Writer(tmp_path / "bag", version=9, storage_plugin=storage) as writer:
        other = writer.add_connection("/chatter", "std_msgs/msg/Header", typestore=typestore)
        images = writer.add_connection("/image", "sensor_msgs/msg/Image", typestore=typestore)
        for number in range(20):
            msg = image_to_msg(picture(1), Header())
            writer.write(images, START_NS + number * PERIOD_NS, serialize_message(msg))
        for second in range(60):
            writer.write(other, START_NS + second * 10**9, serialize_message(Header()))
    # And not 20 in 59 seconds, which would be how long a loop waits before it starts again.
    assert open_source(str(tmp_path / "bag")).rate == pytest.approx(20.0)


def test_maps_in_a_bag_are_not_taken_for_the_camera(tmp_path):
    typestore = get_typestore(Stores.ROS2_JAZZY)
    topics = ("/front/depth/compressedDepth", "/truth/panoptic/compressed", "/front/compressed")
    jpeg = cv2.imencode(".jpg", picture(7))[1].tobytes()
    with Writer(tmp_path / "bag", version=9) as writer:
        for topic in topics:
            connection = writer.add_connection(
                topic, "sensor_msgs/msg/CompressedImage", typestore=typestore
            )
            msg = CompressedImage(format="jpeg", data=jpeg)
            writer.write(connection, START_NS, serialize_message(msg))
    source = open_source(str(tmp_path / "bag"))
    assert not source.has_truth
    [frame] = source.frames()
    assert (brightness(frame.image), frame.truth) == (7, None)
    with pytest.raises(SourceError, match=r"it has: /front/compressed$"):
        open_source(str(tmp_path / "bag"), bag_topic="/front/depth/compressedDepth")


def test_bag_with_an_unreadable_image(tmp_path):
    typestore = get_typestore(Stores.ROS2_JAZZY)
    with Writer(tmp_path / "bag", version=9) as writer:
        images = writer.add_connection("/image", "sensor_msgs/msg/Image", typestore=typestore)
        writer.write(
            images, START_NS, serialize_message(Image(encoding="x-ray", height=1, width=1))
        )
    with pytest.raises(SourceError, match=r"bad image in .*got encoding 'x-ray'"):
        list(open_source(str(tmp_path / "bag")).frames())


def test_bag_leaves_out_a_damaged_image_and_says_so(tmp_path):
    typestore = get_typestore(Stores.ROS2_JAZZY)
    jpeg = cv2.imencode(".jpg", picture(3))[1].tobytes()
    with Writer(tmp_path / "bag", version=9) as writer:
        images = writer.add_connection(
            "/image/compressed", "sensor_msgs/msg/CompressedImage", typestore=typestore
        )
        # The first image of many a camera is cut short, or empty.
        for number, data in enumerate((jpeg[:-9], b"", jpeg, jpeg[: len(jpeg) // 2], jpeg)):
            msg = serialize_message(CompressedImage(format="jpeg", data=data))
            writer.write(images, START_NS + number * PERIOD_NS, msg)
    said = []
    frames = list(open_source(str(tmp_path / "bag"), warn=said.append).frames())
    assert [brightness(frame.image) for frame in frames] == [3, 3]
    assert [frame.time for frame in frames] == pytest.approx([0.1, 0.2])
    sizes = [len(jpeg) - 9, 0, len(jpeg) // 2]
    for line, size in zip(said, sizes, strict=True):
        start = f"bad image in '{tmp_path}/bag', topic '/image/compressed': got {size} bytes of"
        assert line.startswith(start)
        assert line.endswith(": left out")


@pytest.mark.parametrize("data", [b"", b"\x00\x01\x00\x00" + b"\x01" * 10, b"\xff" * 200])
def test_bag_with_a_message_that_is_none(tmp_path, data):
    typestore = get_typestore(Stores.ROS2_JAZZY)
    with Writer(tmp_path / "bag", version=9) as writer:
        images = writer.add_connection("/image", "sensor_msgs/msg/Image", typestore=typestore)
        writer.write(images, START_NS, data)
    source = open_source(str(tmp_path / "bag"))
    with pytest.raises(SourceError, match=r"cannot go on reading '.*/bag': failed to deserialize"):
        list(source.frames())


def test_rubbish_metadata(tmp_path):
    (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    with pytest.raises(SourceError, match="as a rosbag2"):
        open_source(str(tmp_path))
