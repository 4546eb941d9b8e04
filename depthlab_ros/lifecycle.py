# SPDX-License-Identifier: Apache-2.0
"""What rclpy's lifecycle node lacks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol

from rclpy.context import Context
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from depthlab_ros.one_line import one_line

SUCCESS = TransitionCallbackReturn.SUCCESS


class TransitionError(Exception):
    """Raised in a transition that cannot be made now; the node stays in the state that it has."""


class FailureKeeper(Protocol):
    """A lifecycle node that keeps why its last transition failed, empty if it did not."""

    failure: str
    context: Context

    def get_logger(self) -> Any:
        """Return its logger."""


Transition = Callable[[Any, LifecycleState], TransitionCallbackReturn]


def tells_failure(transition: Transition) -> Transition:
    """Let an ``on_...`` callback of a node tell why it failed, in the log and as ``failure``.

    rclpy swallows what a callback raises.
    """
    name = transition.__name__.removeprefix("on_")

    @wraps(transition)
    def tell(node: FailureKeeper, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            result, reason = transition(node, state), "refused by a managed entity"
        except TransitionError as error:
            result, reason = TransitionCallbackReturn.FAILURE, str(error)
        except Exception as error:  # whatever a damaged file can cause must not end the node
            result, reason = TransitionCallbackReturn.ERROR, one_line(error)
        node.failure = "" if result == SUCCESS else f"{name} failed: {reason}"
        # Interrupted while it comes up, a node fails in many ways that are no fault of anything.
        if node.failure and node.context.ok():
            node.get_logger().error(node.failure)
        return result

    return tell


def state_label(node: LifecycleNode) -> str:
    """Return the name of a node's state, such as ``inactive``."""
    return str(node._state_machine.current_state[1])


def refuse_invalid_transitions(node: LifecycleNode) -> None:
    """Answer a request for a transition that the state does not have with ``success: false``.

    rclpy lets the error of its state machine through, which ends the executor and with it the
    node: activating a node that is unconfigured would kill it.
    """
    service = node._service_change_state
    change_state = service.callback

    def change_state_or_refuse(request: Any, response: Any) -> Any:
        try:
            return change_state(request, response)
        except rclpy_implementation.RCLError as error:
            reason = str(error).splitlines()[0]
            node.get_logger().warning(f"transition refused: {reason}")
            response.success = False
            return response

    service.callback = change_state_or_refuse


def destroy_state_machine(node: LifecycleNode) -> None:
    """Take back the lifecycle services, after ``destroy_node``, which leaves them.

    Until the interpreter collects its garbage, the node would go on being seen by all others, with
    services that nobody answers.
    """
    node._state_machine.destroy_when_not_in_use()
