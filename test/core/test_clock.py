# SPDX-License-Identifier: Apache-2.0
"""Time by stage adds up, whoever did the work."""

import time
from typing import Any

import pytest
import torch

from depthlab_core import clock as clock_module
from depthlab_core.clock import StageClock


class FakeEvent:
    """When a device came by, in milliseconds; given by the test."""

    moments: list[float]

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing
        self.moment = self.moments.pop(0)

    def elapsed_time(self, later: "FakeEvent") -> float:
        return later.moment - self.moment


class FakeStream:
    """Takes events as they come."""

    def record_event(self, event: FakeEvent) -> FakeEvent:
        return event


def set_time(monkeypatch: pytest.MonkeyPatch, seconds: list[float]) -> None:
    monkeypatch.setattr(clock_module.time, "perf_counter", lambda: seconds.pop(0))


def test_on_a_cpu_every_stage_ends_when_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    set_time(monkeypatch, [0.0, 0.1, 0.1, 0.4, 0.4])
    clock = StageClock(torch.device("cpu"))
    clock.queued("network")
    clock.done("ground")
    assert clock.laps == {"network": pytest.approx(100), "ground": pytest.approx(300)}


def test_on_a_gpu_queued_stages_are_timed_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def stream(device: Any) -> FakeStream:
        return FakeStream()

    FakeEvent.moments = [0.0, 5.0, 45.0, 99.0, 100.0]
    monkeypatch.setattr(torch.cuda, "current_stream", stream)
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    # The host only reads the time where it has waited anyway.
    set_time(monkeypatch, [0.0, 0.060, 0.060, 0.062, 0.062])
    clock = StageClock(torch.device("cuda"))
    clock.queued("preprocess")
    clock.queued("network")
    assert clock.laps == {}
    clock.done("postprocess")
    clock.done("ground")
    assert list(clock.laps) == ["preprocess", "network", "postprocess", "ground"]
    assert list(clock.laps.values()) == pytest.approx([5, 40, 15, 2])


def test_laps_of_a_real_clock_sum_up() -> None:
    began = time.perf_counter()
    clock = StageClock(torch.device("cpu"))
    clock.queued("a")
    clock.done("b")
    assert 0 <= sum(clock.laps.values()) <= (time.perf_counter() - began) * 1e3
