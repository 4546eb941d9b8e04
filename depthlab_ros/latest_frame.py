# SPDX-License-Identifier: Apache-2.0
"""A hand-over between threads in which each sender's newest item wins."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class LatestFrames(Generic[K, T]):
    """A slot per camera for its newest frame; an older one not taken yet is replaced.

    A queue would hand the consumer frames that are already history, and the more so the slower it
    is. Cameras take turns: the one that has waited longest comes first, however fast others are.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._frames: OrderedDict[K, T] = OrderedDict()
        self._closed = False
        self._end_is_told = False
        self._replaced: Counter[K] = Counter()

    def replaced(self, camera: K) -> int:
        """Return the number of a camera's frames that were put and never taken."""
        with self._condition:
            return self._replaced[camera]

    def put(self, camera: K, frame: T) -> None:
        """Offer ``frame``; never blocks. Ignored after ``close``."""
        with self._condition:
            if self._closed:
                return
            if camera in self._frames:
                self._replaced[camera] += 1
            self._frames[camera] = frame  # which keeps the camera's place in the line
            self._condition.notify()

    def take(
        self,
        most: Callable[[], int] = lambda: 1,
        timeout: float | None = None,
        may_end: Callable[[], bool] = lambda: True,
    ) -> dict[K, T]:
        """Wait for a frame, and remove what waits by then from its slots.

        Args:
            most: Gives the number of cameras whose frames are taken at most.
            timeout: Longest wait in seconds; ``None`` waits until a frame comes or ``close``.
            may_end: Says whether ``close`` may end the wait; asked again after each ``wake``.

        Returns:
            Each camera's newest frame, by camera, the one whose turn it is first; empty after the
            timeout or ``close``.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._frames or (self._closed and may_end()), timeout)
            self._end_is_told = self._closed and may_end()
            count = min(most(), len(self._frames))
            return dict(self._frames.popitem(last=False) for _ in range(count))

    def wake(self) -> None:
        """Let a consumer that waits ask again whether it may end."""
        with self._condition:
            self._condition.notify_all()

    def clear(self) -> None:
        """Drop the frames that wait, without counting them."""
        with self._condition:
            self._frames.clear()

    def close(self) -> None:
        """Wake every waiting consumer and drop the frames in the slots."""
        with self._condition:
            self._closed = True
            self._frames.clear()
            self._condition.notify_all()

    def reopen(self) -> bool:
        """Take ``close`` back, unless ``take`` has told a consumer; returns whether it is open."""
        with self._condition:
            self._closed = self._end_is_told
            return not self._closed
