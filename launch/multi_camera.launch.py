# SPDX-License-Identifier: Apache-2.0
"""One depthlab_node for several cameras, which share its model; RViz on request."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

SHOWN = ("image_annotated", "depth/image", "panoptic/id", "image_raw", "points", "markers")


def generate_launch_description() -> LaunchDescription:
    """Return the description; ``ros2 launch depthlab_ros multi_camera.launch.py -s`` lists it."""
    share = FindPackageShare("depthlab_ros")
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "cameras",
                default_value="front,rear",
                description="Names with commas between them; NAME/image_raw and "
                "NAME/camera_info come in, NAME/segments and the rest go out",
            ),
            DeclareLaunchArgument(
                "sources",
                default_value="",
                description="What camera_player shows as each camera, with commas between them: "
                "camera device, video, image folder or rosbag2; empty = camera drivers of your "
                "own publish the images",
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
                description="YAML file with the parameters of node and players",
            ),
            DeclareLaunchArgument(
                "rviz",
                default_value="false",
                choices=["true", "false"],
                description="Whether to open RViz, on the first camera",
            ),
            OpaqueFunction(function=_nodes),
        ]
    )


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return node, players and RViz, once the arguments are known."""

    def given(name: str) -> str:
        return str(LaunchConfiguration(name).perform(context))

    cameras, sources = _names(given("cameras")), _names(given("sources"))
    if not cameras:
        raise RuntimeError("argument 'cameras': got none, expected names such as front,rear")
    if sources and len(sources) != len(cameras):
        raise RuntimeError(
            f"argument 'sources': got {len(sources)}, expected {len(cameras)}, one per camera"
        )
    texts = {name: given(name) for name in ("model", "device") if given(name)}
    entities: list[LaunchDescriptionEntity] = [
        Node(
            package="depthlab_ros",
            executable="depthlab_node",
            parameters=[
                given("params_file"),
                {"cameras": cameras},
                {name: ParameterValue(text, value_type=str) for name, text in texts.items()},
            ],
            output="screen",
        )
    ]
    for camera, source in zip(cameras, sources, strict=False):
        entities.append(
            Node(
                package="depthlab_ros",
                executable="camera_player",
                namespace=camera,
                parameters=[
                    given("params_file"),
                    {"source": ParameterValue(source, value_type=str)},
                ],
                output="screen",
            )
        )
    if given("rviz") == "true":
        view = PathJoinSubstitution([FindPackageShare("depthlab_ros"), "rviz", "depthlab.rviz"])
        entities.append(
            Node(
                package="rviz2",
                executable="rviz2",
                arguments=["-d", view],
                remappings=[(f"/{topic}", f"/{cameras[0]}/{topic}") for topic in SHOWN],
            )
        )
    return entities


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
