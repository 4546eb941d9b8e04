# SPDX-License-Identifier: Apache-2.0
"""The progress line: step, losses, speed, share of time spent waiting for data, time left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from torch import Tensor


class Progress:
    """Collects losses and times between two lines.

    Attributes:
        last_step: Step that the run ends at, which may become known better.

    Args:
        first_step: Step that the run starts or resumes at.
        last_step: Step that it ends at.
        batch_size: Examples per step.
    """

    def __init__(self, first_step: int, last_step: int, batch_size: int) -> None:
        self.last_step = last_step
        self._batch_size = batch_size
        self._line_step = first_step
        self._line_time = time.monotonic()
        self._loading = 0.0
        self._losses: dict[str, list[Tensor]] = {}
        self._first_step = first_step
        self._first_time = self._line_time
        self._total_loading = 0.0

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Count the time inside as waiting for data."""
        start = time.monotonic()
        yield
        waited = time.monotonic() - start
        self._loading += waited
        self._total_loading += waited

    def add_losses(self, losses: dict[str, Tensor]) -> None:
        """Remember the losses of a forward pass, without waiting for the device."""
        for name, value in losses.items():
            self._losses.setdefault(name, []).append(value.detach())

    def means(self) -> dict[str, float]:
        """Return the mean losses since the last line."""
        return {
            name: float(sum(values[1:], values[0])) / len(values)
            for name, values in self._losses.items()
        }

    def scalars(self, step: int, lr: float) -> dict[str, float]:
        """Return losses, learning rate and speed since the last line, for plotting."""
        elapsed = max(time.monotonic() - self._line_time, 1e-9)
        means = self.means()
        return {
            "loss/total": sum(means.values()),
            **{f"loss/{name}": value for name, value in means.items()},
            "lr": lr,
            "speed/images_per_s": (step - self._line_step) * self._batch_size / elapsed,
            "speed/loading_share": self._loading / elapsed,
        }

    def line(self, step: int, lr: float) -> str:
        """Describe the steps since the last line, and begin anew."""
        now = time.monotonic()
        elapsed = max(now - self._line_time, 1e-9)
        steps = max(step - self._line_step, 1)
        means = self.means()
        parts = " ".join(f"{name} {value:.3f}" for name, value in means.items())
        # The last step of a run by time is only estimated.
        last_step = max(self.last_step, step)
        left = timedelta(seconds=round((last_step - step) * elapsed / steps))
        text = (
            f"step {step}/{last_step} loss {sum(means.values()):.3f} ({parts}) "
            f"lr {lr:.2e} {steps * self._batch_size / elapsed:.1f} images/s "
            f"loading {100 * self._loading / elapsed:.0f}% left {left}"
        )
        self._line_step, self._line_time, self._loading = step, now, 0.0
        self._losses = {}
        return text

    def summary(self, step: int) -> str:
        """Describe the whole run up to ``step``."""
        elapsed = max(time.monotonic() - self._first_time, 1e-9)
        steps = step - self._first_step
        return (
            f"{steps} steps in {timedelta(seconds=round(elapsed))}, "
            f"{steps * self._batch_size / elapsed:.2f} images/s, "
            f"{100 * self._total_loading / elapsed:.1f}% of the time waiting for data"
        )
