# SPDX-License-Identifier: Apache-2.0
"""The end of ROS in a process, which a signal may bring about at the same moment."""

from __future__ import annotations

import rclpy


def shut_down() -> None:
    """Shut ROS down, unless that is done already.

    ``rclpy.try_shutdown`` asks whether it is, but the thread that serves a signal may do it right
    after, and then the second one is an error.
    """
    try:
        rclpy.try_shutdown()
    except RuntimeError:  # rclpy's RCLError is one
        if rclpy.ok():
            raise
