# SPDX-License-Identifier: Apache-2.0
"""Lifecycle requests in every order, over DDS: what a state does not have is refused, cleanly."""

from __future__ import annotations

import array
import itertools

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from sensor_msgs.msg import Image

from depthlab_ros.camera import Camera
from depthlab_ros.node import DepthLabNode

CONFIGURE, CLEANUP = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP
ACTIVATE, DEACTIVATE = Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE
NEXT = {
    ("unconfigured", CONFIGURE): "inactive",
    ("inactive", ACTIVATE): "active",
    ("active", DEACTIVATE): "inactive",
    ("inactive", CLEANUP): "unconfigured",
}
WAY_BACK = {"active": DEACTIVATE, "inactive": CLEANUP}
SHUTDOWN = {
    "unconfigured": Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    "inactive": Transition.TRANSITION_INACTIVE_SHUTDOWN,
    "active": Transition.TRANSITION_ACTIVE_SHUTDOWN,
}


class Manager:
    """Asks for transitions and says what must come of them.

    Args:
        ros: The bench.
        until: Waits.
        loads: Whether the model can be loaded the next time, for ever.
    """

    def __init__(self, ros, until, loads) -> None:
        ros.state()  # until the node knows of this peer
        self._peer, self._until, self._loads = ros.peer, until, loads
        until(self._peer.change_state.service_is_ready)
        self.state = "unconfigured"

    def request(self, transition: int) -> None:
        after = NEXT.get((self.state, transition))
        if transition == CONFIGURE and after is not None and not next(self._loads):
            after = None
        answer = self._call(
            self._peer.change_state, ChangeState.Request(transition=Transition(id=transition))
        )
        assert answer.success == (after is not None), (self.state, transition)
        self.state = after or self.state

    def check_state(self) -> None:
        answer = self._call(self._peer.get_state, GetState.Request())
        assert answer.current_state.label == self.state

    def _call(self, client, request):
        answer = client.call_async(request)
        self._until(answer.done)
        return answer.result()


@pytest.fixture
def manage(ros, stub, until):
    """Makes a node whose model loads or not, in turn, and its manager."""

    def make(*loads: bool):
        loading, expected = itertools.tee(itertools.cycle(loads))

        def load_model(*_):
            if next(loading):
                return stub
            raise ValueError("the checkpoint is damaged")

        node = ros.spin(DepthLabNode, load_model=load_model)
        return node, Manager(ros, until, expected)

    return make


@pytest.mark.parametrize("loads", [(True,), (False, True)], ids=["loads", "loads now and then"])
def test_every_sequence_of_four_transitions(ros, stub, until, manage, loads):
    node, manager = manage(*loads)
    transitions = (CONFIGURE, ACTIVATE, DEACTIVATE, CLEANUP)
    for sequence in itertools.product(transitions, repeat=4):
        for transition in sequence:
            manager.request(transition)
        manager.check_state()
        while manager.state != "unconfigured":
            manager.request(WAY_BACK[manager.state])
    assert node.cameras == []

    while manager.state != "inactive":
        manager.request(CONFIGURE)
    manager.request(ACTIVATE)
    ros.peer.listen("segments")
    ros.connect(node)
    image = Image(
        height=48, width=64, encoding="rgb8", step=192, data=array.array("B", bytes(9216))
    )
    ros.peer.image_pub.publish(image)
    until(lambda: len(ros.peer.received["segments"]) == 1)


@pytest.mark.parametrize("state", SHUTDOWN)
def test_shutdown_is_final_from_every_state(ros, until, manage, state):
    node, manager = manage(True)
    for transition in {"unconfigured": (), "inactive": (CONFIGURE,)}.get(
        state, (CONFIGURE, ACTIVATE)
    ):
        manager.request(transition)
    for other in SHUTDOWN.keys() - {state}:
        manager.request(SHUTDOWN[other])  # has another name there, and is refused
    assert ros.change_state(SHUTDOWN[state])
    assert node.cameras == []
    manager.state = "finalized"
    for transition in (CONFIGURE, ACTIVATE, DEACTIVATE, CLEANUP, *SHUTDOWN.values()):
        manager.request(transition)
    manager.check_state()
    until(lambda: ros.peer.count_subscribers("image_raw") == 0)
    until(lambda: ros.peer.diagnostics and ros.peer.diagnostics[-1]["message"] == "finalized")


def test_a_failure_in_activate_goes_back_to_unconfigured(ros, manage, monkeypatch):
    def fail(camera, deliver):
        raise RuntimeError("no memory left for a subscription")

    node, manager = manage(True)
    manager.request(CONFIGURE)
    with monkeypatch.context() as broken:
        broken.setattr(Camera, "start", fail)
        assert not ros.change_state(ACTIVATE)
    manager.state = "unconfigured"
    manager.check_state()
    assert node.cameras == []
    for transition in (ACTIVATE, CONFIGURE, ACTIVATE):
        manager.request(transition)
    assert manager.state == "active"


@pytest.mark.parametrize(
    ("override", "transition"),
    [
        ("/camera_info.subscription.durability", "activate"),
        ("/image_raw.subscription.durability", "activate"),  # camera_info is subscribed by then
        ("/depth/image.publisher.reliability", "configure"),  # segments are offered by then
    ],
)
def test_a_mistyped_override_is_told_and_leaves_nothing_behind(
    ros, stub, until, capfd, override, transition
):
    node = ros.node(stub, start=False, **{f"qos_overrides.{override}": "transient-local"})
    before = [*node.publishers], [*node.subscriptions]
    node.start()
    assert ros.state() == "unconfigured"
    assert ([*node.publishers], [*node.subscriptions]) == before
    assert node.cameras == []

    policy = override.rpartition(".")[2]
    text = f"{transition} failed: Unexpected QoS override for policy `{policy}`: `transient-local`"
    until(lambda: any(d["message"] == text for d in ros.peer.diagnostics))
    told = ros.peer.diagnostics[-1]
    assert (told["level"], told["state"]) == (DiagnosticStatus.ERROR, "unconfigured")
    [line] = [line for line in capfd.readouterr().err.splitlines() if "failed" in line]
    assert "[ERROR]" in line
    assert line.endswith(text)


def test_a_failure_is_told_until_a_transition_succeeds(ros, until, manage):
    _, manager = manage(False, True)
    manager.request(CONFIGURE)
    text = "configure failed: the checkpoint is damaged"
    until(lambda: any(d["message"] == text for d in ros.peer.diagnostics))
    assert ros.peer.diagnostics[-1]["level"] == DiagnosticStatus.ERROR
    manager.request(CONFIGURE)
    until(lambda: ros.peer.diagnostics[-1]["message"] == "inactive")
    assert ros.peer.diagnostics[-1]["level"] == DiagnosticStatus.OK
