# SPDX-License-Identifier: Apache-2.0
"""No more than so many frames a second."""

from __future__ import annotations


class RateLimit:
    """Says which frames to take so that their mean rate stays at a limit.

    Due times lie on a grid, so that 30 frames a second limited to 20 give 20 and not 15.
    """

    def __init__(self) -> None:
        self._next_due = float("-inf")

    def admits(self, now: float, max_rate: float) -> bool:
        """Return whether to take a frame.

        Args:
            now: Seconds of a clock that never goes back.
            max_rate: Frames per second; 0 = as many as come.
        """
        if max_rate <= 0.0:
            return True
        period = 1.0 / max_rate
        self._next_due = min(self._next_due, now + period)  # a limit raised meanwhile
        if now < self._next_due:
            return False
        on_grid = self._next_due + period
        self._next_due = on_grid if on_grid > now else now + period
        return True
