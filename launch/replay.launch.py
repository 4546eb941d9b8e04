# SPDX-License-Identifier: Apache-2.0
"""A rosbag2 played with its own clock, and depthlab_node working on it; RViz on request."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    """Return the description; ``ros2 launch depthlab_ros replay.launch.py -s`` lists arguments."""
    share = FindPackageShare("depthlab_ros")
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
                "params_file",
                default_value=PathJoinSubstitution([share, "config", "depthlab.yaml"]),
                description="YAML file with the parameters of the node",
            ),
            DeclareLaunchArgument(
                "rviz",
                default_value="false",
                choices=["true", "false"],
                description="Whether to open RViz",
            ),
            OpaqueFunction(function=_bag_and_node),
            Node(
                package="rviz2",
                executable="rviz2",
                arguments=["-d", PathJoinSubstitution([share, "rviz", "depthlab.rviz"])],
                parameters=[{"use_sim_time": True}],
                condition=IfCondition(LaunchConfiguration("rviz")),
            ),
        ]
    )


def _bag_and_node(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the bag's player and the node, once the arguments are known."""

    def given(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    image_topic, transport = given("image_topic"), given("image_transport")
    beside = image_topic.removesuffix("/compressed").rpartition("/")[0]
    wanted = "image_raw/compressed" if transport == "compressed" else "image_raw"
    texts = {name: given(name) for name in ("model", "device") if given(name)}
    node = Node(
        package="depthlab_ros",
        executable="depthlab_node",
        parameters=[
            given("params_file"),
            {"use_sim_time": True, "image_transport": transport},
            {name: ParameterValue(text, value_type=str) for name, text in texts.items()},
        ],
        remappings=[
            (wanted, image_topic),
            ("camera_info", given("camera_info_topic") or f"{beside}/camera_info"),
        ],
        output="screen",
    )
    command = ["ros2", "bag", "play", given("bag"), "--clock", "100", "--rate", given("rate")]
    if given("loop") == "true":
        command.append("--loop")
    return [node, ExecuteProcess(cmd=command, output="screen")]
