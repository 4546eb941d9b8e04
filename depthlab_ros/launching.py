# SPDX-License-Identifier: Apache-2.0
"""What the launch files share: their common arguments, and the nodes that these start.

Needs ROS's launch packages, and is imported by the launch files alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from depthlab_ros.child_process import (
    PROFILE_VARIABLES,
    TRANSPORT_VARIABLES,
    transports_are_chosen,
)
from depthlab_ros.image_transport import SUFFIX, transport

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
            "fixed_frame",
            default_value="",
            description="TF frame in which RViz shows points and things: the frame_id of the "
            "images, or one that TF knows with it; empty = as in RViz's view, "
            "camera_optical_frame",
        ),
        DeclareLaunchArgument(
            "large_images",
            default_value="true",
            choices=["true", "false"],
            description="Whether Fast DDS gets shared memory that holds large images "
            f"(config/fastdds.xml), unless {' or '.join(TRANSPORT_VARIABLES)} is set",
        ),
    ]


def transport_argument(otherwise: str) -> DeclareLaunchArgument:
    """Return the declaration of ``image_transport``.

    Args:
        otherwise: What an empty one means, in words.
    """
    return DeclareLaunchArgument(
        "image_transport",
        default_value="",
        choices=["", "raw", "compressed"],
        description="Whether images are sensor_msgs/Image or CompressedImage; "
        f"empty = {otherwise}",
    )


def topic_arguments(image_topic: str, otherwise: str) -> list[DeclareLaunchArgument]:
    """Return the declarations of the arguments that tell one camera's topics.

    Args:
        image_topic: Default of the argument of that name.
        otherwise: Which transport images have where no argument tells it, in words.
    """
    return [
        DeclareLaunchArgument(
            "image_topic",
            default_value=image_topic,
            description="Topic of the images; of compressed ones with or without /compressed",
        ),
        DeclareLaunchArgument(
            "compressed_topic",
            default_value="",
            description="Topic of compressed images; empty = image_topic with /compressed",
        ),
        DeclareLaunchArgument(
            "camera_info_topic",
            default_value="",
            description="Topic of the CameraInfo; empty = camera_info beside image_topic",
        ),
        transport_argument(
            f"compressed if image_topic ends in {SUFFIX} or compressed_topic is given, else "
            f"{otherwise}"
        ),
    ]


def topic_remappings(context: LaunchContext) -> list[tuple[str, str]]:
    """Return where the node's inputs come from by the arguments that name topics."""
    image_topic = given(context, "image_topic").removesuffix(SUFFIX)
    parent, slash, _ = image_topic.rpartition("/")
    # Beside the images, as image_transport names it.
    compressed_topic = given(context, "compressed_topic") or f"{image_topic}{SUFFIX}"
    return [
        ("image_raw", image_topic),
        ("image_raw/compressed", compressed_topic),
        ("camera_info", given(context, "camera_info_topic") or f"{parent}{slash}camera_info"),
    ]


def topic_transport(context: LaunchContext) -> dict[str, str]:
    """Return the parameter ``image_transport`` by the arguments that name topics."""
    names = ("image_transport", "image_topic", "compressed_topic")
    return transport(*(given(context, name) for name in names))


def shown_images(topics: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return where RViz finds the images that the node takes by ``topic_remappings``."""
    return [("/image_raw", dict(topics)["image_raw"])]


def large_images(context: LaunchContext) -> list[SetEnvironmentVariable]:
    """Return what gives all processes started after it shared memory that holds large images."""
    if given(context, "large_images") != "true" or transports_are_chosen():
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
) -> LifecycleNode:
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
    return LifecycleNode(
        package=PACKAGE,
        executable="depthlab_node",
        name="depthlab_node",
        namespace="",
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
    remappings: Sequence[tuple[str, str]] = (),
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
        remappings=list(remappings),
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
    frame = given(context, "fixed_frame")
    view = PathJoinSubstitution([FindPackageShare(PACKAGE), "rviz", "depthlab.rviz"])
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            arguments=["-d", view, *(["-f", frame] if frame else [])],
            parameters=[parameters] if parameters else [],
            remappings=list(remappings),
        )
    ]
