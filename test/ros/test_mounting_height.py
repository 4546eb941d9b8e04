# SPDX-License-Identifier: Apache-2.0
"""What is left of a listener to TF, with a stand-in for ``tf2_ros``."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import Transition
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from depthlab_ros import mounting_height

BACKWARD = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1))


class Listener:
    """Stands in for ``tf2_ros.TransformListener``."""

    def __init__(self, buffer, node) -> None:
        pass

    def unregister(self) -> None:
        pass


@pytest.fixture
def use(monkeypatch):
    def use(buffer) -> None:
        tf2_ros = SimpleNamespace(Buffer=buffer, TransformListener=Listener)
        monkeypatch.setattr(mounting_height, "tf2_ros", tf2_ros, raising=False)
        monkeypatch.setattr(mounting_height, "HAS_TF", True)

    return use


def test_a_node_that_is_cleaned_up_has_nothing_of_tf_left(ros, stub, until, use):
    jumps, buffers = [], []

    class Buffer:
        """Leaves with the node what that of Jazzy does."""

        def __init__(self, node) -> None:
            self.srv = node.create_service(Trigger, "tf2_frames", lambda _, answer: answer)
            self.jump_handle = node.get_clock().create_jump_callback(
                BACKWARD, post_callback=lambda jump: jumps.append("buffer")
            )
            buffers.append(self)  # a jump that is still told to one that is gone ends the process

    use(Buffer)
    node = ros.node(stub, ground_frame="base_footprint", use_sim_time=True)
    handle = node.get_clock().create_jump_callback(
        BACKWARD, post_callback=lambda jump: jumps.append("test")
    )
    clock = ros.peer.create_publisher(Clock, "/clock", 10)
    until(lambda: clock.get_subscription_count() > 0)

    def jump_back() -> None:
        before = jumps.count("test")
        for seconds in (10, 5):
            clock.publish(Clock(clock=Time(sec=seconds)))
            until(lambda seconds=seconds: node.get_clock().now().nanoseconds == seconds * 10**9)
        until(lambda: jumps.count("test") == before + 1)

    def services() -> set[str]:
        return {name for name, _ in ros.peer.get_service_names_and_types()}

    jump_back()
    assert jumps == ["buffer", "test"]
    until(lambda: "/tf2_frames" in services())

    assert ros.change_state(Transition.TRANSITION_DEACTIVATE)
    assert ros.change_state(Transition.TRANSITION_CLEANUP)
    jump_back()
    assert jumps == ["buffer", "test", "test"]
    assert "tf2_frames" not in [service.srv_name for service in node.services]
    until(lambda: "/tf2_frames" not in services())
    handle.unregister()


def test_a_buffer_that_keeps_nothing_with_the_node_is_closed_too(ros, stub, use):
    class Buffer:
        def __init__(self, node) -> None:
            pass

    use(Buffer)
    ros.node(stub, ground_frame="base_footprint")
    assert ros.change_state(Transition.TRANSITION_DEACTIVATE)
    assert ros.change_state(Transition.TRANSITION_CLEANUP)
    assert ros.state() == "unconfigured"
