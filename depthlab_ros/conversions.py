# SPDX-License-Identifier: Apache-2.0
"""Between ROS messages and plain numpy and core types.

Large fields are filled in place, by appending to the ``array.array`` that a new message holds.
Assigning copies, and with field checks on looks at each element (``benchmarks/messages.py``).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from builtin_interfaces.msg import Time
from depthlab_msgs.msg import Segment as SegmentMsg
from depthlab_msgs.msg import SegmentArray
from geometry_msgs.msg import Point, Vector3
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header

from depthlab_ros.camera_model import NOWHERE, CameraModel
from depthlab_ros.image_codec import decode_compressed, encode_image, encode_jpeg

if TYPE_CHECKING:
    # The player converts images too, and should not have to load torch for it.
    from depthlab_core.segments import DepthStatistic, Segment
    from depthlab_core.track import TrackState

UNTRACKED = -1


def image_from_compressed_msg(msg: CompressedImage) -> NDArray[np.uint8]:
    """Return the pixels of a compressed image message as RGB, uint8 ``(H, W, 3)``.

    Raises:
        ConversionError: If there is no image inside.
    """
    return decode_compressed(msg.data, msg.format)


def image_to_msg(image: NDArray[np.uint8], header: Header, encoding: str = "rgb8") -> Image:
    """Return an image message of an RGB image.

    Args:
        image: RGB, uint8 ``(H, W, 3)``.
        header: Taken over as it is.
        encoding: ``rgb8``, ``bgr8`` or ``mono8``.

    Raises:
        ConversionError: If ``encoding`` is another one.
    """
    return _array_to_msg(encode_image(image, encoding), encoding, header)


def jpeg_to_msg(image: NDArray[np.uint8], header: Header, quality: int) -> CompressedImage:
    """Return a JPEG message of an RGB image, described as image_transport does.

    Args:
        image: RGB, uint8 ``(H, W, 3)``.
        header: Taken over as it is.
        quality: 1 to 100.
    """
    msg = CompressedImage(header=header, format="rgb8; jpeg compressed bgr8")
    msg.data.frombytes(encode_jpeg(image, quality).data)
    return msg


def semantic_to_msg(semantic_map: NDArray[np.uint8], header: Header) -> Image:
    """Return a ``mono8`` message of a map of category ids, uint8 ``(H, W)``."""
    return _array_to_msg(semantic_map, "mono8", header)


def id_map_to_msg(id_map: NDArray[np.uint16], header: Header) -> Image:
    """Return a ``mono16`` message of a map of segment ids, uint16 ``(H, W)``, 0 = void."""
    return _array_to_msg(np.asarray(id_map, np.uint16), "mono16", header)


def depth_to_msg(depth: NDArray[np.float32], header: Header) -> Image:
    """Return a ``32FC1`` message of depth, float32 ``(H, W)``, metres, NaN = invalid (REP 118)."""
    # A network that regresses depth itself may undershoot zero, where nothing can be.
    valid = np.where(depth > 0.0, depth, np.float32(np.nan)).astype(np.float32, copy=False)
    return _array_to_msg(valid, "32FC1", header)


def segments_to_msg(
    segments: Sequence[Segment],
    header: Header,
    *,
    height: int,
    width: int,
    model: str,
    inference_ms: float,
    depth_statistic: DepthStatistic = "median",
    camera: CameraModel | None = None,
    tracks: Mapping[int, TrackState] | None = None,
) -> SegmentArray:
    """Return the message of all segments of one image.

    Args:
        segments: The segments of the prediction.
        header: Header of the image, taken over as it is.
        height: Rows of the image.
        width: Columns of the image.
        model: Name of the model.
        inference_ms: Milliseconds from the decoded image to the segments.
        depth_statistic: What ``Segment.depth`` shows: ``mean``, ``median``, ``p05`` or ``p95``.
        camera: Calibration at the size of the image; ``None`` leaves position and size NaN.
        tracks: What is known over time of things, by ``Segment.panoptic_id``.
    """
    tracks = tracks or {}
    return SegmentArray(
        header=header,
        height=height,
        width=width,
        model=model,
        inference_ms=float(inference_ms),
        segments=[
            _segment_to_msg(segment, depth_statistic, camera, tracks.get(segment.panoptic_id))
            for segment in segments
        ],
    )


def _segment_to_msg(
    segment: Segment,
    depth_statistic: DepthStatistic,
    camera: CameraModel | None,
    track: TrackState | None,
) -> SegmentMsg:
    left, top, box_width, box_height = (int(value) for value in segment.bbox)
    depth = _distance(segment.depth(depth_statistic))
    u, v = (float(value) for value in segment.centroid)
    position, size = NOWHERE, NOWHERE
    if camera is not None and camera.is_calibrated:
        position = camera.back_project(u, v, depth)
        thickness = _distance(segment.depth_p95) - _distance(segment.depth_p05)
        size = (*camera.extent(box_width, box_height, depth), thickness)
    return SegmentMsg(
        id=int(segment.id),
        class_id=int(segment.category_id),
        class_name=segment.category_name,
        is_thing=bool(segment.is_thing),
        score=float(segment.score),
        track_id=UNTRACKED if track is None else track.track_id,
        area=int(segment.area),
        bbox=RegionOfInterest(x_offset=left, y_offset=top, width=box_width, height=box_height),
        centroid_u=u,
        centroid_v=v,
        depth=depth,
        depth_mean=_distance(segment.depth_mean),
        depth_median=_distance(segment.depth_median),
        depth_std=float(segment.depth_std),
        depth_p05=_distance(segment.depth_p05),
        depth_p95=_distance(segment.depth_p95),
        depth_valid_ratio=float(segment.depth_valid_ratio),
        closing_speed=math.nan if track is None else float(track.closing_speed),
        time_to_contact=math.nan if track is None else float(track.time_to_contact),
        position=Point(x=position[0], y=position[1], z=position[2]),
        size=Vector3(x=size[0], y=size[1], z=size[2]),
    )


def _distance(metres: float) -> float:
    return float(metres) if metres > 0.0 else math.nan


def camera_model_from_msg(msg: CameraInfo) -> CameraModel:
    """Return the calibration in a message; its region of interest, binned, becomes the image."""
    model = CameraModel(
        width=msg.width,
        height=msg.height,
        k=tuple(float(value) for value in msg.k),
        d=tuple(float(value) for value in msg.d),
        distortion_model=msg.distortion_model,
        r=tuple(float(value) for value in msg.r),
        p=tuple(float(value) for value in msg.p),
    )
    roi = msg.roi
    if roi.width and roi.height:
        model = model.crop(roi.x_offset, roi.y_offset, roi.width, roi.height)
    binning_x, binning_y = max(msg.binning_x, 1), max(msg.binning_y, 1)
    return model.scale_to(model.width // binning_x, model.height // binning_y)


def camera_model_to_msg(camera: CameraModel, header: Header) -> CameraInfo:
    """Return the message of a calibration, with ``header`` taken over as it is."""
    return CameraInfo(
        header=header,
        width=camera.width,
        height=camera.height,
        distortion_model=camera.distortion_model,
        d=list(camera.d),
        k=list(camera.k),
        r=list(camera.r),
        p=list(camera.p),
    )


def stamp_to_ns(stamp: Time) -> int:
    """Return a message's stamp in nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def stamp_from_ns(nanoseconds: int) -> Time:
    """Return nanoseconds as a message's stamp."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return Time(sec=seconds, nanosec=rest)


def _array_to_msg(pixels: NDArray[Any], encoding: str, header: Header) -> Image:
    height, width = pixels.shape[:2]
    msg = Image(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=sys.byteorder == "big",
        step=pixels.nbytes // height,
    )
    msg.data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))
    return msg
