# SPDX-License-Identifier: Apache-2.0
"""The progress line tells speed, share of waiting and time left by the clock."""

from __future__ import annotations

import pytest
import torch

from training import progress as module
from training.progress import Progress


class Clock:
    """A clock that moves only when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)

    def do_steps(self, progress: Progress, steps: int, loading: float, working: float) -> None:
        for _ in range(steps):
            with progress.loading():
                self.now += loading
            self.now += working
            progress.add_losses({"depth": torch.tensor(2.0)})


def test_speed_waiting_and_time_left(monkeypatch):
    clock = Clock(monkeypatch)
    progress = Progress(10, 30, batch_size=8)
    clock.do_steps(progress, 5, loading=1.0, working=3.0)
    scalars = progress.scalars(15, 0.01)
    assert scalars["speed/images_per_s"] == pytest.approx(2.0)
    assert scalars["speed/loading_share"] == pytest.approx(0.25)
    assert scalars["loss/depth"] == pytest.approx(2.0)
    line = progress.line(15, 0.01)
    assert line.startswith("step 15/30 loss 2.000 (depth 2.000) lr 1.00e-02 2.0 images/s")
    assert line.endswith("loading 25% left 0:01:00")


def test_a_run_that_does_more_steps_than_estimated_is_at_its_end(monkeypatch):
    clock = Clock(monkeypatch)
    progress = Progress(0, 4, batch_size=8)
    clock.do_steps(progress, 5, loading=1.0, working=3.0)
    line = progress.line(5, 0.01)
    assert line.startswith("step 5/5 ")
    assert line.endswith("left 0:00:00")


def test_a_line_begins_anew_and_the_summary_covers_all(monkeypatch):
    clock = Clock(monkeypatch)
    progress = Progress(0, 20, batch_size=4)
    clock.do_steps(progress, 10, loading=3.0, working=1.0)
    progress.line(10, 0.01)
    clock.do_steps(progress, 10, loading=0.0, working=1.0)
    assert "4.0 images/s loading 0%" in progress.line(20, 0.01)
    assert progress.summary(20) == (
        "20 steps in 0:00:50, 1.60 images/s, 60.0% of the time waiting for data"
    )
