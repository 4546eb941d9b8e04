# SPDX-License-Identifier: Apache-2.0
"""Signals that ask a program to finish what it is at, save and stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether a signal asked to stop. An exception could come while files are written.

    Args:
        numbers: Of the signals that ask.
        say: Told the name of the first one that comes; the others change nothing any more.
    """

    def __init__(self, numbers: tuple[signal.Signals, ...], say: Callable[[str], None]) -> None:
        self._numbers, self._say = numbers, say
        self.requested = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if not self.requested:
            self.requested = True
            self._say(signal.Signals(signum).name)

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Listen to the signals while inside."""
        previous = [signal.signal(number, self) for number in self._numbers]
        try:
            yield self
        finally:
            for number, handler in zip(self._numbers, previous, strict=True):
                signal.signal(number, handler)
