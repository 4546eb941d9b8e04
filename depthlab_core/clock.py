# SPDX-License-Identifier: Apache-2.0
"""Time by stage, on a GPU too, where the host has moved on before a stage is through."""

from __future__ import annotations

import time

import torch


class StageClock:
    """Milliseconds of one stage after the other, without a wait of its own.

    Attributes:
        laps: By stage, of all stages before the last ``done``.
    """

    def __init__(self, device: torch.device) -> None:
        """Start the first stage.

        Args:
            device: Which ``queued`` stages run on.
        """
        self.laps: dict[str, float] = {}
        self._stream = torch.cuda.current_stream(device) if device.type == "cuda" else None
        self._queued: list[str] = []
        self._events: list[torch.cuda.Event] = []
        self._start()

    def queued(self, name: str) -> None:
        """End a stage whose work may still be under way on the device."""
        if self._stream is None:
            self.done(name)
        else:
            self._queued.append(name)
            self._events.append(self._stream.record_event(_event()))

    def done(self, name: str) -> None:
        """End a stage that has waited for the device, if any before was ``queued``.

        What the device did in the queued stages is theirs; the rest of the time is this one's.
        """
        now = time.perf_counter()
        elapsed = (now - self._last) * 1e3
        for index, stage in enumerate(self._queued):
            self.laps[stage] = self._events[index].elapsed_time(self._events[index + 1])
            elapsed -= self.laps[stage]
        self.laps[name] = max(elapsed, 0.0)
        self._start()

    def _start(self) -> None:
        self._last = time.perf_counter()
        self._queued = []
        if self._stream is not None:
            self._events = [self._stream.record_event(_event())]


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
