# SPDX-License-Identifier: Apache-2.0
"""How much of a run is done, by its steps or by its time."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from training.collective import Collective


class Budget:
    """Steps and time that a run may take.

    Args:
        iterations: Steps.
        minutes: Time of all of them; None: any.
        seconds_used: Time that was used before this start.
        now: Seconds of a clock.
    """

    def __init__(
        self,
        iterations: int,
        minutes: float | None,
        seconds_used: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._iterations = iterations
        self._minutes = minutes
        self._now = now
        self._start = now() - seconds_used

    @property
    def seconds_used(self) -> float:
        """Time that was used, that of earlier starts included."""
        return self._now() - self._start

    def share_done(self, step: int, collective: Collective, device: torch.device) -> float:
        """Return how much is done, 0 to 1; it ends at 1.

        Args:
            step: Steps done.
            collective: The processes that share the run; all are told the same.
            device: Where they exchange it.
        """
        share = step / self._iterations
        if self._minutes is not None:
            used = torch.tensor(self.seconds_used / (60 * self._minutes), device=device)
            share = max(share, float(collective.sum(used)) / collective.world_size)
        return min(share, 1.0)
