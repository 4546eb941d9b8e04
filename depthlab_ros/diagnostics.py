# SPDX-License-Identifier: Apache-2.0
"""What ``depthlab_node`` reports on ``/diagnostics``."""

from __future__ import annotations

from collections.abc import Mapping

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue


def status_to_msg(
    name: str, *, level: bytes, device: str, message: str, values: Mapping[str, str]
) -> DiagnosticStatus:
    """Return the status of one camera's way through the node.

    Args:
        name: Of node and camera.
        level: ``DiagnosticStatus.OK``, ``WARN`` or ``ERROR``.
        device: Where the model runs, empty if none is loaded.
        message: One line.
        values: Everything else.
    """
    return DiagnosticStatus(
        level=level,
        name=name,
        hardware_id=device,
        message=message,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def diagnostics_to_msg(statuses: list[DiagnosticStatus], stamp: Time) -> DiagnosticArray:
    """Return the report of all cameras."""
    array = DiagnosticArray(status=statuses)
    array.header.stamp = stamp
    return array
