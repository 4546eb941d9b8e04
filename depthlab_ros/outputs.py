# SPDX-License-Identifier: Apache-2.0
"""The topics of ``depthlab_node``: what is published of one prediction."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from depthlab_msgs.msg import SegmentArray
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from depthlab_core import LabelSet, Prediction, draw_prediction
from depthlab_ros import vision_conversions
from depthlab_ros.camera_model import CameraModel
from depthlab_ros.continuity import Tracks
from depthlab_ros.conversions import (
    camera_model_to_msg,
    depth_to_msg,
    id_map_to_msg,
    image_to_msg,
    jpeg_to_msg,
    segments_to_msg,
    semantic_to_msg,
)
from depthlab_ros.markers import thing_boxes
from depthlab_ros.parameters import NodeParameters
from depthlab_ros.point_cloud import point_cloud
from depthlab_ros.scene_conversions import point_cloud_to_msg, thing_boxes_to_msg

OUTPUT_QOS = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST, depth=5
)
LATCHED_QOS = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
    history=HistoryPolicy.KEEP_LAST,
    depth=1,
)
LOG_EVERY_S = 5.0


@dataclass(frozen=True)
class Result:
    """One image and what the model saw in it.

    Attributes:
        header: Header of the image message.
        image: RGB, uint8 ``(H, W, 3)``.
        prediction: Of this image.
        inference_ms: Milliseconds from the decoded image to the segments.
        camera: Calibration at the size of the image, ``None`` if unknown.
        model: Name of the model.
        labels: Its label set.
        settings: Parameters in force.
        tracks: What is known over time of things, by ``Segment.panoptic_id``.
    """

    header: Header
    image: NDArray[np.uint8]
    prediction: Prediction
    inference_ms: float
    camera: CameraModel | None
    model: str
    labels: LabelSet
    settings: NodeParameters
    tracks: Tracks

    @cached_property
    def annotated(self) -> NDArray[np.uint8]:
        """The annotated image, drawn once for both of its topics."""
        return draw_prediction(
            self.image, self.prediction, self.labels, statistic=self.settings.depth_statistic
        )


# Makes the message of one output; None where there is nothing to say.
Make = Callable[[Result], Any]


def _segments(result: Result) -> SegmentArray:
    height, width = result.image.shape[:2]
    return segments_to_msg(
        result.prediction.segments,
        result.header,
        height=height,
        width=width,
        model=result.model,
        inference_ms=result.inference_ms,
        depth_statistic=result.settings.depth_statistic,
        camera=result.camera,
        tracks=result.tracks,
    )


def _depth_camera_info(result: Result) -> CameraInfo:
    height, width = result.image.shape[:2]
    # CameraInfo says by K = 0 that a camera is not calibrated.
    camera = result.camera or CameraModel.from_focal_length(width, height, 0.0)
    return camera_model_to_msg(camera, result.header)


def _points(result: Result) -> PointCloud2 | None:
    if result.camera is None:
        return None
    prediction, stride = result.prediction, result.settings.points_stride
    points = point_cloud(prediction.depth, result.image, prediction.id_map, result.camera, stride)
    return point_cloud_to_msg(points, result.header)


def _markers(result: Result) -> MarkerArray | None:
    if result.camera is None:
        return None
    boxes = thing_boxes(
        result.prediction.segments,
        result.camera,
        result.settings.depth_statistic,
        result.tracks,
    )
    return thing_boxes_to_msg(boxes, result.header)


def _detections(result: Result) -> Any:
    return vision_conversions.detections_to_msg(
        result.prediction.segments,
        result.header,
        depth_statistic=result.settings.depth_statistic,
        camera=result.camera,
        tracks=result.tracks,
    )


OUTPUTS: dict[str, tuple[type, Make]] = {
    "segments": (SegmentArray, _segments),
    "panoptic/id": (Image, lambda result: id_map_to_msg(result.prediction.id_map, result.header)),
    "semantic": (
        Image,
        lambda result: semantic_to_msg(result.prediction.semantic_map, result.header),
    ),
    # Before the image, so that it is there when the image of the same stamp is worked on.
    "depth/camera_info": (CameraInfo, _depth_camera_info),
    "depth/image": (Image, lambda result: depth_to_msg(result.prediction.depth, result.header)),
    "points": (PointCloud2, _points),
    "markers": (MarkerArray, _markers),
    "image_annotated": (Image, lambda result: image_to_msg(result.annotated, result.header)),
    "image_annotated/compressed": (
        CompressedImage,
        lambda result: jpeg_to_msg(result.annotated, result.header, result.settings.jpeg_quality),
    ),
}
if vision_conversions.HAS_VISION_MSGS:
    OUTPUTS["detections"] = (vision_conversions.Detection2DArray, _detections)


class Outputs:
    """Publishers of one camera's outputs.

    Args:
        node: Owner of the publishers.
        prefix: In front of every topic; relative, so that namespaces and remaps work.
        logger: Told what is missing.
    """

    def __init__(self, node: LifecycleNode, prefix: str, logger: Any) -> None:
        self._node = node
        self._prefix = prefix
        self._logger = logger
        self._frame_outputs: dict[str, tuple[LifecyclePublisher, Make]] = {}
        self._label_info: LifecyclePublisher | None = None
        try:
            for topic, (kind, make) in OUTPUTS.items():
                self._frame_outputs[topic] = self._publisher(kind, topic, OUTPUT_QOS), make
            if vision_conversions.HAS_VISION_MSGS:
                self._label_info = self._publisher(
                    vision_conversions.LabelInfo, "label_info", LATCHED_QOS
                )
        except Exception:
            self.destroy()  # nobody else knows of those that were made
            raise

    def any_wanted(self, lazy: bool) -> bool:
        """Return whether at least one output is to be made."""
        return any(_is_wanted(publisher, lazy) for publisher, _ in self._frame_outputs.values())

    def publish(self, result: Result) -> None:
        """Publish what is wanted of ``result``, every message with the header of the image."""
        for topic, (publisher, make) in self._frame_outputs.items():
            if not _is_wanted(publisher, result.settings.lazy):
                continue
            message = make(result)
            if message is not None:
                publisher.publish(message)
                continue
            if topic == "markers":
                self.clear_markers()  # of frames that had a calibration
            if publisher.get_subscription_count() > 0:
                self._logger.warning(
                    f"{topic} needs a calibrated camera: publish camera_info, or set the "
                    "parameter focal_length",
                    throttle_duration_sec=LOG_EVERY_S,
                )

    def announce(self, labels: LabelSet) -> None:
        """Tell present and future subscribers what the category ids mean."""
        if self._label_info is not None:
            header = Header(stamp=self._node.get_clock().now().to_msg())
            self._label_info.publish(vision_conversions.label_info_to_msg(labels, header))

    def clear_markers(self) -> None:
        """Remove what viewers show: nothing will keep it up to date any more."""
        publisher, _ = self._frame_outputs["markers"]
        publisher.publish(thing_boxes_to_msg([], Header()))

    def destroy(self) -> None:
        """Take the topics back."""
        for publisher, _ in self._frame_outputs.values():
            self._node.destroy_lifecycle_publisher(publisher)
        if self._label_info is not None:
            self._node.destroy_lifecycle_publisher(self._label_info)

    def _publisher(self, message: type, topic: str, qos: QoSProfile) -> LifecyclePublisher:
        return self._node.create_lifecycle_publisher(
            message,
            self._prefix + topic,
            copy(qos),  # rclpy writes overrides into it, which are this topic's alone
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )


def _is_wanted(publisher: LifecyclePublisher, lazy: bool) -> bool:
    return not lazy or publisher.get_subscription_count() > 0
