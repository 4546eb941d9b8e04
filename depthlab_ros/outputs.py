# SPDX-License-Identifier: Apache-2.0
"""The topics of ``depthlab_node``: what is published of one prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from depthlab_msgs.msg import SegmentArray
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from depthlab_core import LabelSet, Prediction, draw_prediction
from depthlab_core.segments import DepthStatistic
from depthlab_ros.camera_model import CameraModel
from depthlab_ros.conversions import depth_to_msg, id_map_to_msg, image_to_msg, segments_to_msg

OUTPUT_QOS = QoSProfile(
    reliability=ReliabilityPolicy.RELIABLE, history=HistoryPolicy.KEEP_LAST, depth=5
)


class Model(Protocol):
    """What the node needs of a model; ``depthlab_core.DepthLab`` is one."""

    labels: LabelSet

    @property
    def name(self) -> str:
        """Name for ``SegmentArray.model``."""

    @property
    def device(self) -> object:
        """Where it runs, for reports."""

    def predict(self, image: NDArray[np.uint8], focal_length: float | None = None) -> Prediction:
        """Return what is in an RGB image, uint8 ``(H, W, 3)``."""


@dataclass(frozen=True)
class Result:
    """One image and what the model saw in it.

    Attributes:
        header: Header of the image message.
        image: RGB, uint8 ``(H, W, 3)``.
        prediction: Of this image.
        inference_ms: Milliseconds from the decoded image to the segments.
        camera: Calibration at the size of the image, ``None`` if unknown.
    """

    header: Header
    image: NDArray[np.uint8]
    prediction: Prediction
    inference_ms: float
    camera: CameraModel | None


class Outputs:
    """Publishers of the node's outputs; relative names, so that namespaces and remaps work."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._segments = self._publisher(SegmentArray, "segments")
        self._annotated = self._publisher(Image, "image_annotated")
        self._depth = self._publisher(Image, "depth/image")
        self._id_map = self._publisher(Image, "panoptic/id")
        self._all = (self._segments, self._annotated, self._depth, self._id_map)

    def any_wanted(self, lazy: bool) -> bool:
        """Return whether at least one output is to be made."""
        return any(_is_wanted(publisher, lazy) for publisher in self._all)

    def publish(
        self, result: Result, model: Model, *, lazy: bool, depth_statistic: DepthStatistic
    ) -> None:
        """Publish what is wanted of ``result``, every message with the header of the image.

        Args:
            result: The image and its prediction.
            model: The model that made it.
            lazy: Leave out what nobody subscribes to.
            depth_statistic: What ``Segment.depth`` and the annotated image show.
        """
        prediction, header = result.prediction, result.header
        if _is_wanted(self._segments, lazy):
            height, width = result.image.shape[:2]
            self._segments.publish(
                segments_to_msg(
                    prediction.segments,
                    header,
                    height=height,
                    width=width,
                    model=model.name,
                    inference_ms=result.inference_ms,
                    depth_statistic=depth_statistic,
                    camera=result.camera,
                )
            )
        if _is_wanted(self._id_map, lazy):
            self._id_map.publish(id_map_to_msg(prediction.id_map, header))
        if _is_wanted(self._depth, lazy):
            self._depth.publish(depth_to_msg(prediction.depth, header))
        if _is_wanted(self._annotated, lazy):
            annotated = draw_prediction(
                result.image, prediction, model.labels, statistic=depth_statistic
            )
            self._annotated.publish(image_to_msg(annotated, header))

    def destroy(self) -> None:
        """Take the topics back."""
        for publisher in self._all:
            self._node.destroy_lifecycle_publisher(publisher)

    def _publisher(self, message: type, topic: str) -> LifecyclePublisher:
        return self._node.create_lifecycle_publisher(
            message,
            topic,
            OUTPUT_QOS,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )


def _is_wanted(publisher: LifecyclePublisher, lazy: bool) -> bool:
    return not lazy or publisher.get_subscription_count() > 0
