# SPDX-License-Identifier: Apache-2.0
"""Camera (or a recording in its place) and depthlab_node, active on its own, RViz on request."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

NO_PLAYER = "none"


def generate_launch_description() -> LaunchDescription:
    """Return the description; ``ros2 launch depthlab_ros camera.launch.py -s`` lists arguments."""
    share = FindPackageShare("depthlab_ros")
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "source",
                default_value="/dev/video0",
                description="What camera_player shows: camera device, video, image folder or "
                f"rosbag2; '{NO_PLAYER}' = a camera driver of your own publishes image_raw",
            ),
            DeclareLaunchArgument(
                "model",
                default_value="",
                description="Bundled model, or path of a checkpoint; empty = as in params_file",
            ),
            DeclareLaunchArgument(
                "device",
                default_value="",
                description="auto, cpu, cuda or cuda:N; empty = as in params_file",
            ),
            DeclareLaunchArgument(
                "rate",
                default_value="",
                description="Frames per second of camera_player, 0.0 = the source's own; "
                "empty = as in params_file",
            ),
            DeclareLaunchArgument(
                "params_file",
                default_value=PathJoinSubstitution([share, "config", "depthlab.yaml"]),
                description="YAML file with the parameters of both nodes",
            ),
            DeclareLaunchArgument(
                "rviz",
                default_value="false",
                choices=["true", "false"],
                description="Whether to open RViz",
            ),
            OpaqueFunction(function=_nodes),
            Node(
                package="rviz2",
                executable="rviz2",
                arguments=["-d", PathJoinSubstitution([share, "rviz", "depthlab.rviz"])],
                condition=IfCondition(LaunchConfiguration("rviz")),
            ),
        ]
    )


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return player and node, once the arguments are known."""
    given = {
        name: LaunchConfiguration(name).perform(context)
        for name in ("source", "model", "device", "rate", "params_file")
    }

    def overrides(*names: str) -> dict[str, ParameterValue]:
        # With its type said, or a device called 0 would become a number.
        return {name: ParameterValue(given[name], value_type=str) for name in names if given[name]}

    has_player = given["source"] != NO_PLAYER
    # camera_player offers reliable images, so none need be lost on the way; a driver may not.
    reliable = {"qos_overrides./image_raw.subscription.reliability": "reliable"}
    node = Node(
        package="depthlab_ros",
        executable="depthlab_node",
        parameters=[
            given["params_file"],
            overrides("model", "device"),
            reliable if has_player else {},
        ],
        output="screen",
    )
    if not has_player:
        return [node]
    player = Node(
        package="depthlab_ros",
        executable="camera_player",
        parameters=[
            given["params_file"],
            overrides("source"),
            {"rate": _number("rate", given["rate"])} if given["rate"] else {},
        ],
        output="screen",
    )
    return [player, node]


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RuntimeError(f"argument '{name}': got '{text}', expected a number") from None
