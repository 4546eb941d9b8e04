# SPDX-License-Identifier: Apache-2.0
"""When the camera player shows which frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from depthlab_ros.frame_source import FrameSource, SourceError, SourceFrame
from depthlab_ros.rate_limit import RateLimit


@dataclass(frozen=True)
class PlayedFrame:
    """A frame that is due now.

    Attributes:
        frame: The frame.
        time: Seconds since playing began, by the source's own clock or the chosen rate; goes on
            growing when the source starts again.
        repeat_ns: Nanoseconds to add to recorded stamps so that they go on growing as well.
    """

    frame: SourceFrame
    time: float
    repeat_ns: int


class Playback:
    """Yields the frames of a source, each at its time.

    Args:
        source: What to play.
        rate: Frames per second; 0 = the source's own times. From a live source, frames beyond the
            rate are left out.
        loop: Start again at the end. A live source has none.
        duration: Seconds of playing after which to end; 0 = no limit.
        clock: Monotonic seconds, for tests.
    """

    def __init__(
        self,
        source: FrameSource,
        *,
        rate: float = 0.0,
        loop: bool = False,
        duration: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._period = 1.0 / (rate or source.rate)
        self._rate = rate
        self._loop = loop and not source.is_live
        self._duration = duration
        self._clock = clock
        self._stopped = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Make ``frames`` end soon; may be called from any thread."""
        self._stopped.set()

    def frames(self) -> Iterator[PlayedFrame]:
        """Wait for each frame's time and yield it.

        When the receiver takes longer than the source allows, later frames move back: nothing is
        skipped and no backlog is rushed through.

        Raises:
            SourceError: If the source cannot be read on, or is empty.
        """
        start = self._clock()
        pass_start = 0.0
        repeat_ns = 0
        while True:
            now = pass_start
            first_stamp = last_stamp = None
            for frame, offset in self._timed_frames():
                now = pass_start + offset
                if self._duration and now >= self._duration:
                    return
                if not self._source.is_live:
                    start += self._wait_until(start + now)
                if self._stopped.is_set():
                    return
                first_stamp = frame.stamp_ns if first_stamp is None else first_stamp
                last_stamp = frame.stamp_ns
                yield PlayedFrame(frame, now, repeat_ns)
            if not self._loop:
                return
            pass_start = now + self._period
            if first_stamp is not None and last_stamp is not None:
                repeat_ns += last_stamp - first_stamp + round(self._period * 1e9)

    def _timed_frames(self) -> Iterator[tuple[SourceFrame, float]]:
        """Yield the frames of one pass with their seconds since its start."""
        count = 0
        limit = RateLimit()
        for frame in self._source.frames():
            if not self._source.is_live:
                yield frame, count * self._period if self._rate else frame.time
            elif limit.admits(frame.time, self._rate):
                yield frame, frame.time
            count += 1
        if not count:
            raise SourceError("the source holds no frame")

    def _wait_until(self, due: float) -> float:
        """Wait, and return by how many seconds more than a period ``due`` was missed."""
        early = due - self._clock()
        if early > 0.0:
            self._stopped.wait(early)
            return 0.0
        return -early if -early > self._period else 0.0
