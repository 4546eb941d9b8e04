# SPDX-License-Identifier: Apache-2.0
"""The box and the text that stand for a thing in 3D, without ROS types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from depthlab_core import Segment
from depthlab_core.overlay import distance_color
from depthlab_core.segments import DepthStatistic
from depthlab_core.track import TrackState
from depthlab_ros.camera_model import CameraModel, Point

# The depth of a flat thing does not vary, but a box without thickness cannot be seen.
_THINNEST = 0.1
_TEXT_SHARE, _SMALLEST_TEXT, _LARGEST_TEXT = 0.3, 0.2, 1.0


@dataclass(frozen=True)
class ThingBox:
    """A box along the axes of the optical frame (x right, y down, z forward), metres.

    Attributes:
        id: ``Segment.id``.
        center: Middle of the box.
        size: Extent along x, y and z.
        text: Class, distance and, of a thing that is followed, the number of its track.
        text_position: Above the box.
        text_height: Of a capital letter.
        color: RGB, 0 to 255, by distance as in the annotated image.
    """

    id: int
    center: Point
    size: Point
    text: str
    text_position: Point
    text_height: float
    color: tuple[int, int, int]


def thing_boxes(
    segments: list[Segment],
    camera: CameraModel,
    statistic: DepthStatistic,
    tracks: Mapping[int, TrackState],
) -> list[ThingBox]:
    """Return a box for every thing whose distance is known.

    The box reaches from the 5th to the 95th percentile of the thing's depth; its width and height
    are those of the 2D box at the distance that ``statistic`` gives.

    Args:
        segments: Of one image.
        camera: Calibration at the image's size.
        statistic: Which depth is taken for the distance.
        tracks: What is known over time of things, by ``Segment.panoptic_id``.
    """
    return [
        _box(segment, camera, segment.depth(statistic), tracks.get(segment.panoptic_id))
        for segment in segments
        if segment.is_thing and segment.depth(statistic) > 0.0
    ]


def _box(
    segment: Segment, camera: CameraModel, depth: float, track: TrackState | None
) -> ThingBox:
    left, top, box_width, box_height = segment.bbox
    # Pixel centres are at whole numbers, so a box of one pixel has its middle on it.
    u, v = left + (box_width - 1) / 2, top + (box_height - 1) / 2
    x, y, _ = camera.back_project(u, v, depth)
    width, height = camera.extent(box_width, box_height, depth)
    near, far = segment.depth_p05, segment.depth_p95
    if not 0.0 < near <= far:
        near = far = depth
    text_height = min(max(height * _TEXT_SHARE, _SMALLEST_TEXT), _LARGEST_TEXT)
    middle = (near + far) / 2
    number = "" if track is None else f" #{track.track_id}"
    return ThingBox(
        id=segment.id,
        center=(x, y, middle),
        size=(width, height, max(far - near, _THINNEST)),
        text=f"{segment.category_name} {depth:.1f} m{number}",
        text_position=(x, y - height / 2 - text_height, middle),
        text_height=text_height,
        color=distance_color(depth),
    )
