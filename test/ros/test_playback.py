# SPDX-License-Identifier: Apache-2.0
"""When frames are shown, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from depthlab_ros.frame_source import SourceError, SourceFrame
from depthlab_ros.playback import Playback

IMAGE = np.zeros((2, 2, 3), np.uint8)


class Clip:
    """A source of frames at given times, stamped 5 ns later."""

    is_live = False

    def __init__(self, times: list[float], *, rate: float = 10.0, live: bool = False) -> None:
        self._times = times
        self.rate = rate
        self.is_live = live
        self.frame_count = len(times)

    def frames(self) -> Iterator[SourceFrame]:
        for time in self._times:
            yield SourceFrame(IMAGE, time, stamp_ns=round(time * 1e9) + 5)


class Clock:
    """A clock that moves only when somebody waits, or when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False


def play(source: Clip, clock: Clock, **options) -> Iterator:
    playback = Playback(source, clock=clock, **options)
    playback._stopped.wait = clock.wait
    return playback.frames()


def test_own_times():
    clock = Clock()
    shown = [(clock.now, p.time) for p in play(Clip([0.0, 0.5, 0.6]), clock)]
    assert [now for now, _ in shown] == pytest.approx([100.0, 100.5, 100.6])
    assert [time for _, time in shown] == [0.0, 0.5, 0.6]


def test_chosen_rate():
    clock = Clock()
    shown = [clock.now for _ in play(Clip([0.0, 0.5, 0.6]), clock, rate=4.0)]
    assert shown == pytest.approx([100.0, 100.25, 100.5])


def test_loop_goes_on_in_time_and_stamps():
    clock = Clock()
    frames = play(Clip([0.0, 0.1]), clock, loop=True, duration=0.45)
    shown = [(clock.now, p.time, p.frame.stamp_ns + p.repeat_ns) for p in frames]
    assert [s[0] for s in shown] == pytest.approx([100.0, 100.1, 100.2, 100.3, 100.4])
    assert [s[1] for s in shown] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert [s[2] for s in shown] == [5 + i * 100_000_000 for i in range(5)]


def test_duration_ends_it():
    assert len(list(play(Clip([i / 10 for i in range(100)]), Clock(), duration=1.0))) == 10


def test_late_frames_move_back_and_no_backlog_is_rushed():
    clock = Clock()
    shown = []
    for index, _ in enumerate(play(Clip([i / 10 for i in range(5)]), clock)):
        shown.append(clock.now)
        if index == 1:
            clock.now += 1.0  # somebody held the player up
    assert shown == pytest.approx([100.0, 100.1, 101.1, 101.2, 101.3])


def test_live_frames_are_never_held_back_but_thinned():
    clock = Clock()
    source = Clip([i / 30 for i in range(30)], rate=30.0, live=True)
    assert len(list(play(source, clock, loop=True))) == 30
    assert len(list(play(source, clock, rate=10.0))) == 10
    assert clock.now == 100.0


def test_a_slow_camera_plays_no_longer_than_it_was_told_to():
    source = Clip([i / 5 for i in range(50)], rate=5.0, live=True)
    shown = [p.time for p in play(source, Clock(), rate=10.0, duration=2.0)]
    assert shown == pytest.approx([i / 5 for i in range(10)])


def test_a_camera_that_was_silent_makes_up_for_nothing():
    times = [0.0, *(5.0 + i / 30 for i in range(30))]
    source = Clip(times, rate=30.0, live=True)
    assert len(list(play(source, Clock(), rate=10.0))) == 11


def test_empty_source():
    with pytest.raises(SourceError, match="no frame"):
        list(play(Clip([]), Clock(), loop=True))


def test_stop():
    playback = Playback(Clip([0.0, 3600.0]))
    frames = playback.frames()
    next(frames)
    playback.stop()
    assert list(frames) == []
    assert playback.stopped
