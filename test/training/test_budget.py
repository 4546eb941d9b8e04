# SPDX-License-Identifier: Apache-2.0
"""A run ends after its steps or after its time, and its rates have fallen by then."""

from __future__ import annotations

import re

import pytest
import torch

from training.budget import Budget
from training.collective import Collective
from training.config import ConfigError, LoopConfig
from training.config_file import config_from_dict
from training.run_state import FILE_NAME
from training.train import train

CPU = torch.device("cpu")
ALONE = Collective()


class Clock:
    """A clock that moves only when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_without_a_time_steps_alone_count():
    clock = Clock()
    budget = Budget(20, None, now=clock)
    clock.now += 1e6
    shares = [budget.share_done(step, ALONE, CPU) for step in (0, 5, 20, 30)]
    assert shares == [0, 0.25, 1, 1]


def test_what_is_used_up_first_ends_it():
    clock = Clock()
    budget = Budget(100, 2.0, now=clock)
    clock.now += 30
    assert budget.share_done(10, ALONE, CPU) == pytest.approx(0.25)
    assert budget.share_done(60, ALONE, CPU) == pytest.approx(0.6)
    clock.now += 90
    assert budget.share_done(60, ALONE, CPU) == 1
    assert budget.seconds_used == 120


def test_time_of_earlier_starts_counts():
    clock = Clock()
    budget = Budget(100, 2.0, seconds_used=60.0, now=clock)
    assert budget.share_done(0, ALONE, CPU) == pytest.approx(0.5)


def test_a_run_by_time_ends_with_its_rates_at_nothing(tmp_path, small_config, caplog):
    config = config_from_dict(
        small_config(tmp_path, iterations=1_000_000, minutes=0.1, log_every=1)
    )
    with caplog.at_level("INFO", "training"):
        trainer = train(config, CPU)
    assert 1 < trainer.step < 1000
    rates = [float(rate) for rate in re.findall(r"lr (\S+)", caplog.text)]
    assert len(rates) == trainer.step
    assert rates[-1] == min(rates[2:]) < 0.5 * max(rates)
    state = torch.load(tmp_path / FILE_NAME, weights_only=True)
    assert state["seconds_used"] >= 6
    # The same command again has nothing left to do.
    assert train(config, CPU).step == trainer.step


@pytest.mark.parametrize("minutes", [0, -1.5])
def test_no_time_is_refused(minutes):
    with pytest.raises(ConfigError, match=f"loop.minutes: got {minutes}, expected a positive"):
        LoopConfig(minutes=minutes)
