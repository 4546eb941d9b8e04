# SPDX-License-Identifier: Apache-2.0
"""``label_info`` and ``detections``, whose message types only some installations have.

``vision_msgs`` is a package of its own. Where it is missing the two topics do not exist: their
names promise those types, and ``segments`` carries all that would be in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from geometry_msgs.msg import Point, Pose, PoseWithCovariance
from std_msgs.msg import Header

from depthlab_core import LabelSet, Segment
from depthlab_core.segments import DepthStatistic
from depthlab_core.track import TrackState
from depthlab_ros.camera_model import NOWHERE, CameraModel

try:
    from vision_msgs.msg import (
        BoundingBox2D,
        Detection2D,
        Detection2DArray,
        LabelInfo,
        ObjectHypothesis,
        ObjectHypothesisWithPose,
        VisionClass,
    )
except ImportError:
    HAS_VISION_MSGS = False
else:
    HAS_VISION_MSGS = True

__all__ = [
    "HAS_VISION_MSGS",
    "MISSING",
    "Detection2DArray",
    "LabelInfo",
    "detections_to_msg",
    "label_info_to_msg",
]
MISSING = "vision_msgs is not installed: the topics label_info and detections are left out"


def label_info_to_msg(labels: LabelSet, header: Header) -> LabelInfo:
    """Return the names of the values in ``semantic``.

    Args:
        labels: The model's label set.
        header: Its stamp says since when this holds.
    """
    return LabelInfo(
        header=header,
        class_map=[
            VisionClass(class_id=category.id, class_name=category.name)
            for category in labels.categories
        ],
    )


def detections_to_msg(
    segments: Sequence[Segment],
    header: Header,
    *,
    depth_statistic: DepthStatistic,
    camera: CameraModel | None,
    tracks: Mapping[int, TrackState],
) -> Detection2DArray:
    """Return the things among ``segments``, the class id in the numbers of ``label_info``.

    Args:
        segments: Of one image.
        header: Header of the image, taken over as it is.
        depth_statistic: Which depth is taken for the position.
        camera: Calibration at the size of the image; ``None`` leaves the position NaN.
        tracks: What is known over time of things, by ``Segment.panoptic_id``.
    """
    return Detection2DArray(
        header=header,
        detections=[
            _detection(segment, header, depth_statistic, camera, tracks.get(segment.panoptic_id))
            for segment in segments
            if segment.is_thing
        ],
    )


def _detection(
    segment: Segment,
    header: Header,
    statistic: DepthStatistic,
    camera: CameraModel | None,
    track: TrackState | None,
) -> Detection2D:
    left, top, width, height = segment.bbox
    box = BoundingBox2D(size_x=float(width), size_y=float(height))
    box.center.position.x = left + (width - 1) / 2
    box.center.position.y = top + (height - 1) / 2
    depth = segment.depth(statistic)
    x, y, z = NOWHERE
    if camera is not None and depth > 0.0:
        x, y, z = camera.back_project(*segment.centroid, depth)
    pose = PoseWithCovariance(pose=Pose(position=Point(x=x, y=y, z=z)))
    pose.pose.orientation.w = 1.0
    hypothesis = ObjectHypothesis(class_id=str(segment.category_id), score=float(segment.score))
    return Detection2D(
        header=header,
        results=[ObjectHypothesisWithPose(hypothesis=hypothesis, pose=pose)],
        bbox=box,
        # By its definition the id of a thing over several messages, and empty if there is none.
        id="" if track is None else str(track.track_id),
    )
