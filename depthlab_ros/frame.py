# SPDX-License-Identifier: Apache-2.0
"""One image on its way through the node: received, inferred, published."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from depthlab_core import LabelSet, Prediction
from depthlab_core.config import PostprocessConfig
from depthlab_ros.camera_model import CameraModel
from depthlab_ros.continuity import Continuity
from depthlab_ros.conversions import image_from_compressed_msg, stamp_to_ns
from depthlab_ros.image_bridge import image_from_msg
from depthlab_ros.one_line import one_line
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

    def warm_up(self, height: int, width: int, images: int = 1) -> None:
        """Prepare for images of one size, of which so many may come at once."""

    def predict_batch(
        self, images: Sequence[NDArray[np.uint8]], focal_lengths: Sequence[float | None]
    ) -> list[Prediction]:
        """Return what is in each of some RGB images, uint8 ``(H, W, 3)``."""


@dataclass(frozen=True)
class Frame:
    """An image that came.

    Attributes:
        msg: The message.
        arrived: When it came, on the clock ``time.perf_counter``, seconds.
        continuity: Of the frames that it belongs to.
    """

    msg: ImageMsg
    arrived: float
    continuity: Continuity


@dataclass(frozen=True)
class _DecodedFrame:
    frame: Frame
    image: NDArray[np.uint8]
    camera: CameraModel | None
    timings: dict[str, float]


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


def infer(
    frames: Mapping[Camera, Frame],
    model: Model,
    settings: NodeParameters,
    warn: Callable[[str], None],
) -> dict[Camera, InferredFrame | Exception]:
    """Decode a frame of each of some cameras, and run the model on all at once.

    Args:
        frames: By camera.
        model: The model.
        settings: Parameters in force.
        warn: Told in one line if the model fails at several frames at once.

    Returns:
        What came out for each camera: ``ConversionError`` if the message holds no image, or
        whatever else the model has raised for its frame.
    """
    outcomes: dict[Camera, InferredFrame | Exception] = {}
    decoded = {}
    for camera, frame in frames.items():
        try:
            decoded[camera] = _decode(camera, frame)
        except Exception as error:  # whatever it is, it must not cost the other cameras' frames
            outcomes[camera] = error
    return outcomes | _predict(decoded, model, settings, warn)


def _decode(camera: Camera, frame: Frame) -> _DecodedFrame:
    begun, msg = time.perf_counter(), frame.msg
    is_raw = isinstance(msg, Image)
    image = image_from_msg(msg) if is_raw else image_from_compressed_msg(msg)
    height, width = image.shape[:2]
    calibration = camera.calibration_of(stamp_to_ns(msg.header.stamp), width, height)
    timings = {
        "waiting": (begun - frame.arrived) * 1e3,
        "decode": (time.perf_counter() - begun) * 1e3,
    }
    return _DecodedFrame(frame, image, calibration, timings)


def _predict(
    decoded: Mapping[Camera, _DecodedFrame],
    model: Model,
    settings: NodeParameters,
    warn: Callable[[str], None],
) -> dict[Camera, InferredFrame | Exception]:
    if not decoded:
        return {}
    begun, frames = time.perf_counter(), decoded.values()
    try:
        predictions = model.predict_batch(
            [frame.image for frame in frames],
            [frame.camera.focal_length if frame.camera else None for frame in frames],
        )
    except Exception as error:
        if len(decoded) == 1:
            return dict.fromkeys(decoded, error)
        # The fault may be one frame's, or that there are several.
        warn(f"{len(decoded)} frames at once failed, now each alone: {one_line(error)}")
        return {
            camera: outcome
            for one in decoded
            for camera, outcome in _predict({one: decoded[one]}, model, settings, warn).items()
        }
    done = time.perf_counter()
    inference = {"inference": (done - begun) * 1e3}
    return {
        camera: InferredFrame(
            frame.frame,
            frame.image,
            frame.camera,
            prediction,
            settings,
            {**frame.timings, **prediction.timings, **inference},
            done,
        )
        for (camera, frame), prediction in zip(decoded.items(), predictions, strict=True)
    }
