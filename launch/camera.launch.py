# SPDX-License-Identifier: Apache-2.0
"""Camera (or a recording in its place) and depthlab_node, active on its own, RViz on request."""

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
    shown_images,
    topic_arguments,
    topic_remappings,
    topic_transport,
)

NO_PLAYER = "none"


def generate_launch_description() -> LaunchDescription:
    """Return the description; ``ros2 launch depthlab_ros camera.launch.py -s`` lists arguments."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "source",
                default_value="/dev/video0",
                description="What camera_player shows: camera device, video, image folder, "
                f"rosbag2 or drive; '{NO_PLAYER}' = a camera driver of your own publishes "
                "image_topic",
            ),
            *topic_arguments(
                "image_raw", otherwise="as in params_file (with camera_player always)"
            ),
            DeclareLaunchArgument(
                "rate",
                default_value="",
                description="Frames per second of camera_player, 0.0 = the source's own; "
                "empty = as in params_file",
            ),
            *common_arguments(),
            OpaqueFunction(function=_nodes),
        ]
    )


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return player, node and RViz, once the arguments are known."""
    source, rate = given(context, "source"), given(context, "rate")
    topics = topic_remappings(context)
    if source == NO_PLAYER:
        node = depthlab_node(context, topic_transport(context), remappings=topics)
        return [*large_images(context), node, *rviz(context, remappings=shown_images(topics))]
    images = dict(topics)["image_raw"]
    player = camera_player(
        context,
        source,
        parameters={"rate": _number("rate", rate)} if rate else {},
        remappings=topics,
    )
    node = depthlab_node(
        context,
        transport(given(context, "image_transport")),  # the player's are raw, whatever their name
        reliable_images=[f"/{images.removeprefix('/')}"],
        remappings=topics,
    )
    return [*large_images(context), player, node, *rviz(context, remappings=shown_images(topics))]


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise RuntimeError(f"argument '{name}': got '{value}', expected a number") from None
