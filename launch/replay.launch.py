# SPDX-License-Identifier: Apache-2.0
"""A rosbag2 played with its own clock, and depthlab_node working on it; RViz on request."""

from __future__ import annotations

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch_ros.event_handlers import OnStateTransition

from depthlab_ros.launching import (
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


def generate_launch_description() -> LaunchDescription:
    """Return the description; ``ros2 launch depthlab_ros replay.launch.py -s`` lists arguments."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="Folder or file of the rosbag2"),
            *topic_arguments("/image_raw", otherwise="raw"),
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
    """Return node, the bag's player and RViz, once the arguments are known.

    The bag plays once the node is active: what it would show to one that still loads is lost.
    """
    topics = topic_remappings(context)
    node = depthlab_node(
        context,
        {"use_sim_time": True, "image_transport": "raw"} | topic_transport(context),
        remappings=topics,
    )
    play = ["ros2", "bag", "play", given(context, "bag"), "--clock", "100"]
    play += ["--rate", given(context, "rate")]
    # Until its publishers and the node's subscriptions have found each other. A loop would wait
    # each time, and what its first round lacks comes in the next.
    play += ["--loop"] if given(context, "loop") == "true" else ["--delay", "1"]
    start = OnStateTransition(
        target_lifecycle_node=node,
        goal_state="active",
        entities=[ExecuteProcess(cmd=play, output="screen")],
        handle_once=True,
    )
    return [
        *large_images(context),
        RegisterEventHandler(start),
        node,
        *rviz(context, parameters={"use_sim_time": True}, remappings=shown_images(topics)),
    ]
