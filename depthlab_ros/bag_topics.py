# SPDX-License-Identifier: Apache-2.0
"""Which topics of a rosbag2 are the camera, its calibration and its ground truth."""

from __future__ import annotations

from pathlib import Path

from rclpy.serialization import deserialize_message
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import Image

from depthlab_ros.frame_source import SourceError
from depthlab_ros.truth import DEPTH_SUFFIX, DEPTH_TOPIC, PANOPTIC_SUFFIX, PANOPTIC_TOPIC

RAW = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
_DEPTH_ENCODINGS = ("16UC1", "32FC1")  # REP 118


def choose_image_topic(reader: Reader, topic: str, path: Path) -> Connection:
    """Return the connection of a bag's image topic.

    Args:
        reader: Has the bag open.
        topic: Its name; empty = the first raw one that is not of depth, else the first compressed
            one.
        path: Of the bag, for the error.

    Raises:
        SourceError: If there is none, or none with images.
    """
    images = [
        c
        for kind in (RAW, COMPRESSED)
        for c in reader.connections
        if c.msgtype == kind and not _is_map(c.topic)
    ]
    chosen = [c for c in images if c.topic == topic or not topic]
    chosen = [c for c in chosen if c.msgcount] or chosen
    if chosen:
        image = chosen[0] if topic or len(chosen) == 1 else _first_picture(reader, chosen)
        if next(reader.messages([image]), None) is None:
            raise SourceError(f"got bag '{path}' without images on '{image.topic}'")
        return image
    present = ", ".join(sorted({c.topic for c in images})) or "none"
    raise SourceError(
        f"got bag '{path}' without image topic '{topic or 'of any name'}', it has: {present}"
    )


def choose_camera_info_topic(connections: list[Connection], image: Connection) -> str | None:
    """Return the CameraInfo topic next to the image topic, else the only one in the bag."""
    infos = {c.topic for c in connections if c.msgtype == CAMERA_INFO}
    beside = f"{_parent(image)}/camera_info"
    if beside in infos:
        return beside
    return infos.pop() if len(infos) == 1 else None


def truth_topics(connections: list[Connection], image: Connection) -> frozenset[str]:
    """Return the two topics of truth next to the image topic; empty if they are not both there."""
    parent = _parent(image)
    topics = {
        f"{parent}/{PANOPTIC_TOPIC}{PANOPTIC_SUFFIX}",
        f"{parent}/{DEPTH_TOPIC}{DEPTH_SUFFIX}",
    }
    present = {c.topic for c in connections if c.msgtype == COMPRESSED and c.msgcount}
    return frozenset(topics if topics <= present else ())


def _first_picture(reader: Reader, images: list[Connection]) -> Connection:
    """Return the first topic whose images are not of depth by their encoding, else the first.

    Depth cameras have both, such as ``aligned_depth_to_color`` before ``color``.
    """
    for image in images:
        first = next(reader.messages([image]), None) if image.msgtype == RAW else None
        encoding = deserialize_message(bytes(first[2]), Image).encoding if first else ""
        if encoding not in _DEPTH_ENCODINGS:
            return image
    return images[0]


def _is_map(topic: str) -> bool:
    """Return whether the name of a topic is that of depth or truth, which no camera sees."""
    truth = (PANOPTIC_TOPIC, PANOPTIC_TOPIC + PANOPTIC_SUFFIX, DEPTH_TOPIC)
    return topic.endswith((DEPTH_SUFFIX, *(f"/{name}" for name in truth)))


def _parent(image: Connection) -> str:
    return image.topic.removesuffix("/compressed").rpartition("/")[0]
