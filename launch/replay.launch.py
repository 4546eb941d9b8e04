# SPDX-License-Identifier: Apache-2.0
"""A rosbag2 played with its own clock, and depthlab_node working on it; RViz on request."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction

from depthlab_ros.launching import common_arguments, depthlab_node, given, large_images, rviz


def generate_launch_description() -> LaunchDescription:
    """Return the description; ``ros2 launch depthlab_ros replay.launch.py -s`` lists arguments."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="Folder or file of the rosbag2"),
            DeclareLaunchArgument(
                "image_topic",
                default_value="/image_raw",
                description="Image topic in the bag",
            ),
            DeclareLaunchArgument(
                "camera_info_topic",
                default_value="",
                description="CameraInfo topic in the bag; empty = camera_info beside image_topic",
            ),
            DeclareLaunchArgument(
                "image_transport",
                default_value="raw",
                choices=["raw", "compressed"],
                description="Whether image_topic is of sensor_msgs/Image or CompressedImage",
            ),
            DeclareLaunchArgument(
                "rate", default_value="1.0", description="Speed, 1.0 = as it was recorded"
            ),
            DeclareLaunchArgument(
                "loop",
                default_value="false",
                choices=["true", "false"],
                description="Whether to start again at the end",
            ),
            *common_arguments(),
            OpaqueFunction(function=_nodes),
        ]
    )


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return node, the bag's player and RViz, once the arguments are known."""
    image_topic, transport = given(context, "image_topic"), given(context, "image_transport")
    beside = image_topic.removesuffix("/compressed").rpartition("/")[0]
    wanted = "image_raw/compressed" if transport == "compressed" else "image_raw"
    node = depthlab_node(
        context,
        {"use_sim_time": True, "image_transport": transport},
        remappings=[
            (wanted, image_topic),
            ("camera_info", given(context, "camera_info_topic") or f"{beside}/camera_info"),
        ],
    )
    play = ["ros2", "bag", "play", given(context, "bag"), "--clock", "100"]
    play += ["--rate", given(context, "rate")]
    if given(context, "loop") == "true":
        play.append("--loop")
    return [
        *large_images(context),
        node,
        ExecuteProcess(cmd=play, output="screen"),
        *rviz(context, parameters={"use_sim_time": True}),
    ]
