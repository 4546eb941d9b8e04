# SPDX-License-Identifier: Apache-2.0
"""A hand-over of one item between two threads in which the newest wins."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestFrame(Generic[T]):
    """A slot for the newest frame; an older one that nobody has taken yet is replaced.

    A queue would hand the consumer frames that are already history, and the more so the slower it
    is. ``replaced`` counts the frames that gave way.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._frame: T | None = None
        self._closed = False
        self._replaced = 0

    @property
    def replaced(self) -> int:
        """Number of frames that were put and never taken."""
        with self._condition:
            return self._replaced

    def put(self, frame: T) -> None:
        """Offer ``frame``; never blocks. Ignored after ``close``."""
        with self._condition:
            if self._closed:
                return
            if self._frame is not None:
                self._replaced += 1
            self._frame = frame
            self._condition.notify()

    def take(self, timeout: float | None = None) -> T | None:
        """Wait for a frame and remove it from the slot.

        Args:
            timeout: Longest wait in seconds; ``None`` waits until a frame comes or ``close``.

        Returns:
            The newest frame, or ``None`` after the timeout or ``close``.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._frame is not None or self._closed, timeout)
            frame, self._frame = self._frame, None
            return None if self._closed else frame

    def close(self) -> None:
        """Wake every waiting consumer and drop the frame in the slot."""
        with self._condition:
            self._closed = True
            self._frame = None
            self._condition.notify_all()
