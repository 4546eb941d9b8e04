# SPDX-License-Identifier: Apache-2.0
"""Video files, image folders and bags as the player reads them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from depthlab_ros.camera_model import CameraModel
from depthlab_ros.captures import is_device
from depthlab_ros.conversions import camera_model_to_msg, image_to_msg, stamp_from_ns
from depthlab_ros.frame_source import DEFAULT_RATE, Leniency, SourceError
from depthlab_ros.sources import open_source
from depthlab_ros.video_writer import VideoWriter

START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 50_000_000


def picture(number: int) -> np.ndarray:
    """A grey image whose brightness is its number times 20."""
    return np.full((48, 64, 3), number * 20, np.uint8)


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


def write_video(path: Path, *, count: int = 6, rate: float = 20.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, (64, 48))
    for number in range(count):
        writer.write(picture(number))
    writer.release()
    return path


def brightness(image: np.ndarray) -> int:
    return round(float(image.mean()) / 20)


def test_video(tmp_path):
    source = open_source(str(write_video(tmp_path / "clip.avi")))
    assert (source.rate, source.frame_count, source.is_live) == (20.0, 6, False)
    for _ in range(2):  # a second pass starts again
        frames = list(source.frames())
        assert [brightness(frame.image) for frame in frames] == [0, 1, 2, 3, 4, 5]
        assert [frame.time for frame in frames] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2, 0.25])
    assert frames[0].stamp_ns is None
    assert frames[0].camera is None
    assert frames[0].image.shape == (48, 64, 3)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_video_of_a_variable_rate_keeps_its_times(tmp_path, name):
    # As the demo writes its own video, and phones and screen recorders theirs.
    times = [0.0, 0.1, 0.5, 2.0, 2.1]
    with VideoWriter(tmp_path / name) as video:
        for number, time in enumerate(times):
            video.write(picture(number), time)
    frames = list(open_source(str(tmp_path / name)).frames())
    assert [brightness(frame.image) for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.time for frame in frames] == pytest.approx(times, abs=1e-3)


def test_video_without_times_comes_at_its_rate(tmp_path):
    with VideoWriter(tmp_path / "clip.h264") as video:
        for number in range(4):
            video.write(picture(number), number)
    source = open_source(str(tmp_path / "clip.h264"))
    times = [frame.time for frame in source.frames()]
    assert times == pytest.approx([number / source.rate for number in range(4)])


def test_video_whose_name_has_a_colon(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(Path("clip.avi")).rename("12:30.avi")
    assert len(list(open_source("12:30.avi").frames())) == 6


def test_video_colours_are_rgb(tmp_path):
    path = tmp_path / "red.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
    writer.write(np.full((48, 64, 3), (0, 0, 255), np.uint8))  # BGR
    writer.release()
    [frame] = open_source(str(path)).frames()
    red, green, blue = frame.image.reshape(-1, 3).mean(axis=0)
    assert red > 240
    assert green < 15
    assert blue < 15


def test_folder_in_natural_order_and_of_any_size(tmp_path):
    for number in (10, 2, 1):
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), picture(number))
    cv2.imwrite(str(tmp_path / "frame11.jpg"), np.full((30, 20, 3), 220, np.uint8))
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._frame1.png").write_bytes(b"what macOS knows of frame1.png")
    source = open_source(str(tmp_path))
    assert (source.rate, source.frame_count) == (DEFAULT_RATE, 4)
    frames = list(source.frames())
    assert [brightness(frame.image) for frame in frames] == [1, 2, 10, 11]
    assert frames[3].image.shape == (30, 20, 3)
    assert [frame.time for frame in frames] == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_names_with_digits_that_are_no_decimals(tmp_path):
    for name in ("1\u00b22", "1\u00b210", "\u2460"):  # a superscript 2, and a 1 in a circle
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture(1))
    assert len(list(open_source(str(tmp_path)).frames())) == 3


def test_folder_leaves_out_what_it_cannot_read_and_says_so(tmp_path):
    jpeg = cv2.imencode(".jpg", picture(3))[1].tobytes()
    (tmp_path / "0.png").write_bytes(b"broken")
    (tmp_path / "1.jpg").write_bytes(jpeg)
    (tmp_path / "2.jpg").write_bytes(jpeg[: len(jpeg) * 9 // 10])  # not partly grey
    (tmp_path / "3.jpg").write_bytes(b"")
    (tmp_path / "4.png").mkdir()
    (tmp_path / "5.jpg").write_bytes(jpeg)
    said = []
    frames = list(open_source(str(tmp_path), warn=said.append).frames())
    assert [brightness(frame.image) for frame in frames] == [3, 3]
    # The others keep their times.
    assert [frame.time for frame in frames] == pytest.approx([0.1, 0.5])
    names = [f"{tmp_path}/{name}" for name in ("0.png", "2.jpg", "3.jpg", "4.png")]
    assert said == [
        f"cannot read the image '{name}', damaged or cut short: left out" for name in names
    ]


@pytest.mark.parametrize("count", [1, 30])
def test_folder_of_nothing_but_broken_images_is_one_error(tmp_path, count):
    for number in range(count):
        (tmp_path / f"{number}.png").write_bytes(b"broken")
    said = []
    with pytest.raises(SourceError, match=r"cannot read the image '.*/0\.png', damaged"):
        list(open_source(str(tmp_path), warn=said.append).frames())
    assert said == []


def test_many_bad_images_after_a_good_one_are_no_error():
    said = []
    leniency = Leniency(said.append)
    for number in range(Leniency.PATIENCE - 1):
        leniency.on_problem(f"bad {number}")
    assert said == []
    leniency.on_image()
    for _ in range(3 * Leniency.PATIENCE):
        leniency.on_problem("bad")
    leniency.on_end()
    assert said == [f"bad {i}: left out" for i in range(9)] + ["bad: left out"] * 30


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


def test_a_bundled_recording_goes_by_its_name_unless_there_is_such_a_file(tmp_path, monkeypatch):
    assert open_source("drive").has_truth
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "clip.avi").rename(tmp_path / "drive")
    assert open_source("drive").frame_count == 6


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


def test_missing_source():
    with pytest.raises(SourceError, match=r"got '/no/such\.mp4', which does not exist"):
        open_source("/no/such.mp4")
    with pytest.raises(SourceError, match=r"got no source, expected .* camera device or drive$"):
        open_source("")


@pytest.mark.parametrize("name", ["~nobody_has_this_name/clip.mp4", "x" * 300, "a\0b"])
def test_names_that_no_file_can_have(name):
    with pytest.raises(SourceError, match="which does not exist"):
        open_source(name)
    assert not is_device(name)


@pytest.mark.parametrize("name", ["clip.mp4", "bag.mcap", "bag.db3"])
def test_rubbish_is_one_clear_line(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"rubbish" * 100)
    with pytest.raises(SourceError) as error:
        open_source(str(path))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_rubbish_metadata(tmp_path):
    (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    with pytest.raises(SourceError, match="as a rosbag2"):
        open_source(str(tmp_path))


def test_empty_folder(tmp_path):
    with pytest.raises(SourceError, match="without images"):
        open_source(str(tmp_path))


def test_a_folder_whose_name_is_a_number_is_that_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2024").mkdir()
    cv2.imwrite("2024/1.png", picture(4))
    assert not is_device("2024")
    assert is_device("2025")
    [frame] = open_source("2024").frames()
    assert brightness(frame.image) == 4
