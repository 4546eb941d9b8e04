# SPDX-License-Identifier: Apache-2.0
"""What rclpy's lifecycle node lacks."""

from __future__ import annotations

from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode


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
