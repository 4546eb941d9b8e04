# SPDX-License-Identifier: Apache-2.0
"""One depthlab_node for several cameras, which share its model; RViz, on request, on the first."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from depthlab_ros.image_transport import transport
from depthlab_ros.launching import (
    camera_player,
    common_arguments,
    depthlab_node,
    given,
    large_images,
    rviz,
    transport_argument,
)

SHOWN = ("image_annotated", "depth/image", "panoptic/id", "image_raw", "points", "markers")


def generate_launch_description() -> LaunchDescription:
    """Return the description; ``ros2 launch depthlab_ros multi_camera.launch.py -s`` lists it."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "cameras",
                default_value="front,rear",
                description="Names with commas between them; NAME/image_raw (or "
                "NAME/image_raw/compressed) and NAME/camera_info come in, NAME/segments and the "
                "rest go out",
            ),
            DeclareLaunchArgument(
                "sources",
                default_value="",
                description="What camera_player shows as each camera, with commas between them: "
                "camera device, video, image folder or rosbag2; empty = camera drivers of your "
                "own publish the images",
            ),
            transport_argument("as in params_file"),
            *common_arguments(),
            OpaqueFunction(function=_nodes),
        ]
    )


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return node, players and RViz, once the arguments are known."""
    cameras, sources = _names(given(context, "cameras")), _names(given(context, "sources"))
    if not cameras:
        raise RuntimeError("argument 'cameras': got none, expected names such as front,rear")
    if sources and len(sources) != len(cameras):
        raise RuntimeError(
            f"argument 'sources': got {len(sources)}, expected {len(cameras)}, one per camera"
        )
    played = dict(zip(cameras, sources, strict=False))
    return [
        *large_images(context),
        depthlab_node(
            context,
            {"cameras": cameras} | transport(given(context, "image_transport")),
            reliable_images=[f"/{camera}/image_raw" for camera in played],
        ),
        *(camera_player(context, source, namespace=name) for name, source in played.items()),
        *rviz(
            context,
            remappings=[(f"/{topic}", f"/{cameras[0]}/{topic}") for topic in SHOWN],
        ),
    ]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
