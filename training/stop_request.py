# SPDX-License-Identifier: Apache-2.0
"""Signals that ask a run to save and stop."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from training.collective import Collective

logger = logging.getLogger("training")


class StopRequest:
    """Whether a signal asked to stop."""

    requested = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Handle a signal: finish the step, save, exit."""
        logger.info("%s: saving and stopping after this step", signal.Signals(signum).name)
        self.requested = True

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Listen to SIGTERM and SIGINT while inside."""
        numbers = (signal.SIGTERM, signal.SIGINT)
        previous = [signal.signal(number, self) for number in numbers]
        try:
            yield self
        finally:
            for number, handler in zip(numbers, previous, strict=True):
                signal.signal(number, handler)

    def by_any(self, collective: Collective, device: torch.device) -> bool:
        """Return whether any process was asked: all must stop after the same step."""
        flag = torch.tensor(float(self.requested), device=device)
        return bool(collective.sum(flag) > 0)
