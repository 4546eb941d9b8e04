# SPDX-License-Identifier: Apache-2.0
"""The limit is a mean rate, whatever the rhythm of the frames."""

from __future__ import annotations

import pytest

from depthlab_ros.rate_limit import RateLimit


@pytest.mark.parametrize(
    ("rate", "limit", "expected"),
    [(30, 0.0, 300), (30, 100.0, 300), (30, 30.0, 300), (30, 20.0, 200), (30, 7.0, 70)],
)
def test_mean_rate(rate, limit, expected):
    gate = RateLimit()
    taken = sum(gate.admits(1e9 + i / rate, limit) for i in range(10 * rate))
    assert taken == pytest.approx(expected, abs=1)


def test_a_pause_is_not_made_up_for():
    gate = RateLimit()
    assert gate.admits(0.0, 1.0)
    assert gate.admits(100.0, 1.0)
    assert not gate.admits(100.5, 1.0)
    assert gate.admits(101.0, 1.0)


def test_a_raised_limit_need_not_wait_for_the_old_period():
    gate = RateLimit()
    assert gate.admits(0.0, 0.1)
    assert not gate.admits(1.0, 0.1)
    assert not gate.admits(2.0, 10.0)
    assert gate.admits(2.1, 10.0)
    assert not gate.admits(2.15, 10.0)
    assert gate.admits(2.2, 10.0)


def test_a_lowered_limit_holds_from_the_next_frame_on():
    gate = RateLimit()
    assert gate.admits(0.0, 10.0)
    assert gate.admits(0.1, 0.5)
    assert not gate.admits(2.0, 0.5)
    assert gate.admits(2.1, 0.5)
