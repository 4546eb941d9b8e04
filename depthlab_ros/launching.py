# SPDX-License-Identifier: Apache-2.0
"""What the launch files share: their common arguments, and the nodes that these start.

Needs ROS's launch packages, and is imported by the launch files alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from depthlab_ros.child_process import PROFILE_VARIABLES

PACKAGE = "depthlab_ros"


def common_arguments() -> list[DeclareLaunchArgument]:
    """Return the declarations of the arguments that every launch file has."""
    parameters = PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "depthlab.yaml"])
    return [
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
            default_value=parameters,
            description="YAML file with the parameters of depthlab_node and camera_player",
        ),
        DeclareLaunchArgument(
            "rviz",
            default_value="false",
            choices=["true", "false"],
            description="Whether to open RViz",
        ),
        DeclareLaunchArgument(
            "large_images",
            default_value="true",
            choices=["true", "false"],
            description="Whether Fast DDS gets shared memory that holds large images "
            f"(config/fastdds.xml), unless {' or '.join(PROFILE_VARIABLES)} is set",
        ),
    ]


def large_images(context: LaunchContext) -> list[SetEnvironmentVariable]:
    """Return what gives all processes started after it shared memory that holds large images."""
    if given(context, "large_images") != "true":
        return []
    if any(name in os.environ for name in PROFILE_VARIABLES):
        return []
    profiles = PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "fastdds.xml"])
    return [SetEnvironmentVariable(name, profiles) for name in PROFILE_VARIABLES]


def given(context: LaunchContext, name: str) -> str:
    """Return the value of an argument."""
    return str(LaunchConfiguration(name).perform(context))


def text(value: str) -> ParameterValue:
    """Return a text as a parameter's value; with no type said, a device called 0 is a number."""
    return ParameterValue(value, value_type=str)


def depthlab_node(
    context: LaunchContext,
    parameters: dict[str, Any],
    *,
    reliable_images: Sequence[str] = (),
    remappings: Sequence[tuple[str, str]] = (),
) -> Node:
    """Return the node, with the parameters of ``params_file``, of ours and of the user, in turn.

    Args:
        context: Knows the arguments.
        parameters: What the launch file sets.
        reliable_images: Full names of the image topics whose publishers are known to offer
            reliable images, so that none need be lost on the way.
        remappings: Of its topics.
    """
    reliable = {
        f"qos_overrides.{topic}.subscription.reliability": "reliable" for topic in reliable_images
    }
    chosen = {name: text(given(context, name)) for name in ("model", "device")}
    return Node(
        package=PACKAGE,
        executable="depthlab_node",
        parameters=[
            given(context, "params_file"),
            parameters | reliable,
            {name: value for name, value in chosen.items() if given(context, name)},
        ],
        remappings=list(remappings),
        output="screen",
    )


def camera_player(
    context: LaunchContext,
    source: str,
    *,
    namespace: str = "",
    parameters: dict[str, Any] | None = None,
) -> Node:
    """Return a player of ``source``, which publishes its images in a namespace."""
    return Node(
        package=PACKAGE,
        executable="camera_player",
        namespace=namespace,
        parameters=[
            given(context, "params_file"),
            {"source": text(source)} | (parameters or {}),
        ],
        output="screen",
    )


def rviz(
    context: LaunchContext,
    *,
    parameters: dict[str, Any] | None = None,
    remappings: Sequence[tuple[str, str]] = (),
) -> list[Node]:
    """Return RViz with this package's view if the argument ``rviz`` asks for it, else nothing."""
    if given(context, "rviz") != "true":
        return []
    view = PathJoinSubstitution([FindPackageShare(PACKAGE), "rviz", "depthlab.rviz"])
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            arguments=["-d", view],
            parameters=[parameters] if parameters else [],
            remappings=list(remappings),
        )
    ]
