# SPDX-License-Identifier: Apache-2.0
"""Play the images of a rosbag2, whether stored as sqlite3 or mcap, raw or compressed.

``rosbags`` reads the files (rosbag2_py exists only on ROS installations); the messages inside are
plain CDR, which rclpy itself decodes into the real ``sensor_msgs``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from rclpy.serialization import deserialize_message
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depthlab_ros.bag_topics import (
    CAMERA_INFO,
    RAW,
    choose_camera_info_topic,
    choose_image_topic,
    truth_topics,
)
from depthlab_ros.camera_model import CameraModel
from depthlab_ros.conversions import (
    camera_model_from_msg,
    image_from_compressed_msg,
    stamp_to_ns,
)
from depthlab_ros.frame_source import DEFAULT_RATE, Leniency, SourceError, SourceFrame, Warn
from depthlab_ros.image_bridge import image_from_msg
from depthlab_ros.image_codec import ConversionError
from depthlab_ros.one_line import one_line
from depthlab_ros.truth import (
    DEPTH_SUFFIX,
    PANOPTIC_SUFFIX,
    Truth,
    decode_depth,
    decode_panoptic,
)

_PACE_IMAGES = 11  # as many as are looked at to tell the rate
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class BagSource:
    """One image topic of a bag, with the CameraInfo and the ground truth beside it.

    Args:
        path: Bag folder, or one ``.mcap`` or ``.db3`` file.
        topic: Image topic; empty = the first raw one that is not of depth, else the first
            compressed one.
        warn: Told of each image that is left out, in one line.

    Raises:
        SourceError: If the bag cannot be read, or holds no such topic.
    """

    is_live = False

    def __init__(self, path: Path, topic: str, warn: Warn) -> None:
        self._path = path
        self._warn = warn
        try:
            with Reader(path) as reader:
                if path.is_file():
                    _refuse_compressed_messages(reader, path)
                self._image = choose_image_topic(reader, topic, path)
                self._camera_info = choose_camera_info_topic(reader.connections, self._image)
                self._truth = truth_topics(reader.connections, self._image)
                self.rate = _rate(reader, self._image)
        except SourceError:
            raise
        except Exception as error:  # the library lets parser and database errors through
            raise SourceError(f"cannot read '{path}' as a rosbag2: {one_line(error)}") from None
        self.has_truth = bool(self._truth)
        self.frame_count = self._image.msgcount

    def frames(self) -> Iterator[SourceFrame]:
        """Yield the images with their recorded stamps, frames, calibration and truth.

        An image that cannot be decoded, such as a JPEG that is cut short, is left out.

        Raises:
            SourceError: At a message that is none, at truth that does not fit its image, or if
                no image can be decoded.
        """
        leniency = Leniency(self._warn)
        start: int | None = None
        try:
            with Reader(self._path) as reader:
                images = [c for c in reader.connections if c.topic == self._image.topic]
                infos = [c for c in reader.connections if c.topic == self._camera_info]
                truths = [c for c in reader.connections if c.topic in self._truth]
                truth = _LatestTruth()
                # The first image usually lies before the first CameraInfo.
                first = next(reader.messages(infos), None) if infos else None
                camera = _decode_camera(first[2]) if first else None
                for connection, received_ns, data in reader.messages(images + infos + truths):
                    if connection.msgtype == CAMERA_INFO:
                        camera = _decode_camera(data)
                    elif connection.topic in self._truth:
                        truth.take(connection.topic, bytes(data))
                    else:
                        start = received_ns if start is None else start
                        seconds = (received_ns - start) * 1e-9
                        try:
                            frame = _decode(bytes(data), connection.msgtype, seconds, camera)
                        except ConversionError as error:
                            leniency.on_problem(self._problem(error))
                            continue
                        leniency.on_image()
                        yield replace(frame, truth=truth.of(frame))
            leniency.on_end()
        except SourceError:
            raise
        except ConversionError as error:  # in the truth
            raise SourceError(self._problem(error)) from None
        except Exception as error:  # likewise, and rclpy's of messages that are none
            raise SourceError(f"cannot go on reading '{self._path}': {one_line(error)}") from None

    def _problem(self, error: ConversionError) -> str:
        return f"bad image in '{self._path}', topic '{self._image.topic}': {error}"


class _LatestTruth:
    """The truth read last, for the image of the same stamp that follows it."""

    def __init__(self) -> None:
        self._messages: dict[str, CompressedImage] = {}

    def take(self, topic: str, data: bytes) -> None:
        suffix = DEPTH_SUFFIX if topic.endswith(DEPTH_SUFFIX) else PANOPTIC_SUFFIX
        self._messages[suffix] = deserialize_message(data, CompressedImage)

    def of(self, frame: SourceFrame) -> Truth | None:
        stamps = {stamp_to_ns(msg.header.stamp) for msg in self._messages.values()}
        if len(self._messages) < 2 or stamps != {frame.stamp_ns}:
            return None
        panoptic = decode_panoptic(bytes(self._messages[PANOPTIC_SUFFIX].data))
        depth = decode_depth(bytes(self._messages[DEPTH_SUFFIX].data))
        if panoptic.shape == depth.shape == frame.image.shape[:2]:
            return Truth(panoptic, depth)
        raise ConversionError(
            f"got truth of {panoptic.shape} and {depth.shape} pixels, "
            f"expected {frame.image.shape[:2]}"
        )


def _refuse_compressed_messages(reader: Reader, path: Path) -> None:
    """Say that only metadata.yaml, beside a file, can tell that its messages are compressed."""
    first = next(reader.messages(), None)
    if first and bytes(first[2][:4]) == _ZSTD_MAGIC:
        raise SourceError(
            f"got '{path}', whose messages are compressed, expected the folder of its bag, with "
            "metadata.yaml"
        )


def _decode_camera(data: bytes | memoryview) -> CameraModel:
    return camera_model_from_msg(deserialize_message(bytes(data), CameraInfo))


def _decode(data: bytes, msgtype: str, time: float, camera: CameraModel | None) -> SourceFrame:
    if msgtype == RAW:
        msg = deserialize_message(data, Image)
        image = image_from_msg(msg)
    else:
        msg = deserialize_message(data, CompressedImage)
        image = image_from_compressed_msg(msg)
    return SourceFrame(image, time, stamp_to_ns(msg.header.stamp), msg.header.frame_id, camera)


def _rate(reader: Reader, image: Connection) -> float:
    """Return the images per second, by the first of them: other topics may go on for longer."""
    times = [received_ns for _, received_ns, _ in islice(reader.messages([image]), _PACE_IMAGES)]
    span = times[-1] - times[0] if times else 0
    if span <= 0:
        return DEFAULT_RATE
    pace = (len(times) - 1) / (span * 1e-9)
    # What comes slowly at first takes no longer than the bag.
    return max(pace, (image.msgcount - 1) / (max(reader.duration, span) * 1e-9))
