# SPDX-License-Identifier: Apache-2.0
"""Points and boxes as ROS messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point, Pose, Vector3
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from depthlab_ros.markers import ThingBox
from depthlab_ros.point_cloud import POINT_DTYPE

# RViz and PCL expect the packed colour to call itself a float.
_FIELD_TYPES = {
    "x": PointField.FLOAT32,
    "y": PointField.FLOAT32,
    "z": PointField.FLOAT32,
    "rgb": PointField.FLOAT32,
    "segment_id": PointField.UINT16,
}
_BOX_OPACITY = 0.4


def point_cloud_to_msg(points: NDArray[np.void], header: Header) -> PointCloud2:
    """Return the message of an organised cloud, ``POINT_DTYPE`` ``(rows, columns)``."""
    rows, columns = points.shape
    assert POINT_DTYPE.fields is not None
    msg = PointCloud2(
        header=header,
        height=rows,
        width=columns,
        fields=[
            PointField(name=name, offset=POINT_DTYPE.fields[name][1], datatype=datatype, count=1)
            for name, datatype in _FIELD_TYPES.items()
        ],
        is_bigendian=False,
        point_step=POINT_DTYPE.itemsize,
        row_step=POINT_DTYPE.itemsize * columns,
        is_dense=False,
    )
    if points.size:  # a view of nothing cannot be cast
        msg.data.frombytes(points.view(np.uint8).data.cast("B"))
    return msg


def thing_boxes_to_msg(boxes: Sequence[ThingBox], header: Header) -> MarkerArray:
    """Return the markers that replace all those shown before: a box and a text per thing.

    Each array begins with the removal of everything older, so that a thing that is gone
    disappears even if a message was lost, and a viewer that came late sees the same as others.
    """
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for box in boxes:
        red, green, blue = (value / 255 for value in box.color)
        markers += [
            Marker(
                header=header,
                ns="box",
                id=box.id,
                type=Marker.CUBE,
                action=Marker.ADD,
                pose=_pose(box.center),
                scale=Vector3(x=box.size[0], y=box.size[1], z=box.size[2]),
                color=ColorRGBA(r=red, g=green, b=blue, a=_BOX_OPACITY),
            ),
            Marker(
                header=header,
                ns="text",
                id=box.id,
                type=Marker.TEXT_VIEW_FACING,
                action=Marker.ADD,
                pose=_pose(box.text_position),
                scale=Vector3(z=box.text_height),
                color=ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0),
                text=box.text,
            ),
        ]
    return MarkerArray(markers=markers)


def _pose(position: tuple[float, float, float]) -> Pose:
    x, y, z = position
    pose = Pose(position=Point(x=x, y=y, z=z))
    pose.orientation.w = 1.0
    return pose
