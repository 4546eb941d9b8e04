# SPDX-License-Identifier: Apache-2.0
"""One image on its way through the node: received, inferred, published."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from depthlab_core import LabelSet, Prediction
from depthlab_core.config import PostprocessConfig
from depthlab_ros.camera_model import CameraModel
from depthlab_ros.conversions import image_from_compressed_msg, stamp_to_ns
from depthlab_ros.image_bridge import image_from_msg
from depthlab_ros.parameters import NodeParameters

if TYPE_CHECKING:
    from depthlab_ros.camera import Camera

ImageMsg: TypeAlias = "Image | CompressedImage"


class Model(Protocol):
    """What the node needs of a model; ``depthlab_core.DepthLab`` is one."""

    labels: LabelSet
    postprocess: PostprocessConfig

    @property
    def name(self) -> str:
        """Name for ``SegmentArray.model``."""

    @property
    def device(self) -> object:
        """Where it runs, for reports."""

    def predict(self, image: NDArray[np.uint8], focal_length: float | None = None) -> Prediction:
        """Return what is in an RGB image, uint8 ``(H, W, 3)``."""


@dataclass(frozen=True)
class Frame:
    """A message and when it came, on the clock ``time.perf_counter``, seconds."""

    msg: ImageMsg
    arrived: float


@dataclass(frozen=True)
class InferredFrame:
    """What the model saw in a frame.

    Attributes:
        frame: The frame.
        image: RGB, uint8 ``(H, W, 3)``.
        camera: Calibration at the size of the image, ``None`` if unknown.
        prediction: Of the model.
        settings: Parameters in force when the frame was taken.
        timings: Milliseconds by stage: waiting, decode, those of the model, inference in all.
        done: When the model was through, on the clock of ``Frame.arrived``.
    """

    frame: Frame
    image: NDArray[np.uint8]
    camera: CameraModel | None
    prediction: Prediction
    settings: NodeParameters
    timings: dict[str, float]
    done: float


def infer(camera: Camera, frame: Frame, model: Model, settings: NodeParameters) -> InferredFrame:
    """Decode a camera's frame and run the model on it.

    Raises:
        ConversionError: If the message holds no image.
        Exception: Whatever the model raises.
    """
    begun, msg = time.perf_counter(), frame.msg
    is_raw = isinstance(msg, Image)
    image = image_from_msg(msg) if is_raw else image_from_compressed_msg(msg)
    height, width = image.shape[:2]
    calibration = camera.calibration_of(stamp_to_ns(msg.header.stamp), width, height)
    decoded = time.perf_counter()
    prediction = model.predict(
        image, focal_length=calibration.focal_length if calibration is not None else None
    )
    done = time.perf_counter()
    timings = {
        "waiting": (begun - frame.arrived) * 1e3,
        "decode": (decoded - begun) * 1e3,
        **prediction.timings,
        "inference": (done - decoded) * 1e3,
    }
    return InferredFrame(frame, image, calibration, prediction, settings, timings, done)
