# SPDX-License-Identifier: Apache-2.0
"""Lifecycle requests of every kind, those that fail among them."""

from __future__ import annotations

from lifecycle_msgs.msg import Transition

from depthlab_core import DepthLab
from depthlab_ros.node import DepthLabNode


def test_missing_checkpoint_fails_configure_and_leaves_the_node_usable(
    ros, stub, tmp_path, parameter_overrides
):
    def load_model(name: str, *how: str):
        return stub if name == "good" else DepthLab.load(name, *how)

    node = ros.spin(DepthLabNode, load_model=load_model)
    call_set = node.set_parameters
    [missing] = call_set(parameter_overrides(model=str(tmp_path / "missing.safetensors")))
    assert missing.successful
    node.start()
    assert ros.state() == "unconfigured"
    assert not ros.change_state(Transition.TRANSITION_CONFIGURE)
    assert ros.state() == "unconfigured"

    assert call_set(parameter_overrides(model="good"))[0].successful
    assert ros.change_state(Transition.TRANSITION_CONFIGURE)
    assert ros.change_state(Transition.TRANSITION_ACTIVATE)
    assert ros.state() == "active"


def test_corrupt_checkpoint_fails_configure(ros, tmp_path, parameter_overrides):
    path = tmp_path / "corrupt.safetensors"
    path.write_bytes(b"\x00" * 100)
    node = ros.spin(DepthLabNode)
    node.set_parameters(parameter_overrides(model=str(path)))
    assert not ros.change_state(Transition.TRANSITION_CONFIGURE)
    assert ros.state() == "unconfigured"


def test_transition_that_the_state_does_not_have_is_refused(ros, stub):
    ros.node(stub, start=False, autostart=False)
    assert not ros.change_state(Transition.TRANSITION_ACTIVATE)
    assert not ros.change_state(Transition.TRANSITION_CLEANUP)
    assert not ros.change_state(250)
    assert ros.state() == "unconfigured"
    assert ros.change_state(Transition.TRANSITION_CONFIGURE)
    assert ros.state() == "inactive"


def test_lifecycle_round_trip_keeps_working(ros, stub, until):
    ros.peer.listen("segments")
    node = ros.node(stub)
    ros.peer.send(1)
    until(lambda: ros.peer.stamps() == [1])

    assert ros.change_state(Transition.TRANSITION_DEACTIVATE)
    until(lambda: ros.peer.image_pub.get_subscription_count() == 0)
    ros.peer.send(2)
    assert ros.change_state(Transition.TRANSITION_CLEANUP)
    until(lambda: ros.peer.listeners["segments"].get_publisher_count() == 0)
    assert ros.change_state(Transition.TRANSITION_CONFIGURE)
    assert ros.change_state(Transition.TRANSITION_ACTIVATE)
    ros.connect(node)

    ros.peer.send(3)
    until(lambda: ros.peer.stamps() == [1, 3])
    assert ros.change_state(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert ros.state() == "finalized"


def test_autostart_off_waits_for_the_manager(ros, stub):
    node = ros.node(stub, start=False, autostart=False)
    node.start()
    assert ros.state() == "unconfigured"
