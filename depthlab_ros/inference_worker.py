# SPDX-License-Identifier: Apache-2.0
"""The two threads in which the node works on frames: one infers, one publishes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Generic, TypeVar

from depthlab_ros.image_codec import ConversionError
from depthlab_ros.latest_frame import LatestFrames
from depthlab_ros.one_line import one_line

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
R = TypeVar("R")

# Less than what a launch file or the demo waits for a process to end before it is killed.
STOP_TIMEOUT_S = 5.0


class InferenceWorker(Generic[K, T, R]):
    """Hands each camera's newest frame to two functions in turn, in threads of their own.

    While results are published the next frames are worked on; a camera's frames keep their order.
    A frame that fails costs that frame alone.

    Args:
        infer: Works on the frames of one or more cameras at once. A camera that is missing in its
            answer has nothing to publish, an exception stands for a frame that failed.
        publish: Works on one camera's result.
        give_up: Told in one line why a frame was given up.
        most_at_once: Gives the number of cameras whose frames may be inferred together.
    """

    def __init__(
        self,
        infer: Callable[[Mapping[K, T]], Mapping[K, R | Exception]],
        publish: Callable[[K, R], None],
        give_up: Callable[[K, str], None],
        most_at_once: Callable[[], int] = lambda: 1,
    ) -> None:
        self._infer = infer
        self._publish = publish
        self._give_up = give_up
        self._most_at_once = most_at_once
        self._slots: LatestFrames[K, T] = LatestFrames()
        self._results: queue.Queue[tuple[K, R] | None] = queue.Queue()
        self._busy_since: dict[str, float] = {}
        self._threads = [
            threading.Thread(target=self._run_inference, name="inference", daemon=True),
            threading.Thread(target=self._run_publishing, name="publishing", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def busy_s(self) -> float:
        """Seconds since the frame longest under way was taken; 0 while there is none."""
        longest = self._longest_under_way()
        return 0.0 if longest is None else time.monotonic() - longest[1]

    @property
    def busy_stage(self) -> str:
        """Where the frame longest under way is: ``inference`` or ``publishing``; empty if none."""
        longest = self._longest_under_way()
        return "" if longest is None else longest[0]

    def replaced(self, camera: K) -> int:
        """Return the number of a camera's frames that a newer one replaced while they waited."""
        return self._slots.replaced(camera)

    def put(self, camera: K, frame: T) -> None:
        """Offer a frame; never blocks."""
        self._slots.put(camera, frame)

    def forget_waiting(self) -> None:
        """Drop the frames that wait."""
        self._slots.clear()

    def stop(self) -> bool:
        """End both threads, after the frames that are under way.

        Returns:
            Whether they have ended within ``STOP_TIMEOUT_S``. If not, they end whenever the frame
            under way does, unless ``resume`` takes the request back.
        """
        self._slots.close()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)

    def resume(self) -> bool:
        """Take frames again after ``stop`` was in vain; returns False if it was not after all."""
        return self._slots.reopen()

    def _run_inference(self) -> None:
        while frames := self._slots.take(self._most_at_once, may_end=self._has_published):
            outcomes: Mapping[K, R | Exception]
            with self._busy("inference"):
                try:
                    outcomes = self._infer(frames)
                except Exception as error:  # nothing that is raised there must end the node
                    outcomes = dict.fromkeys(frames, error)
            for camera, outcome in outcomes.items():
                if isinstance(outcome, Exception):
                    self._fail(camera, outcome)
                else:
                    self._results.put((camera, outcome))
            # Until the last is being published: a frame taken before would only grow old here.
            self._results.join()
        self._results.put(None)

    def _run_publishing(self) -> None:
        while (taken := self._results.get()) is not None:
            camera, result = taken
            with self._busy("publishing"):
                self._results.task_done()
                try:
                    self._publish(camera, result)
                except Exception as error:  # likewise
                    self._fail(camera, error)
            self._slots.wake()

    def _has_published(self) -> bool:
        # Were the end told before, ``resume`` could not take it back from a publishing that hangs.
        return "publishing" not in self._busy_since

    def _fail(self, camera: K, error: Exception) -> None:
        if isinstance(error, ConversionError):
            self._give_up(camera, f"frame dropped: {error}")
        else:
            self._give_up(camera, f"frame failed: {type(error).__name__}: {one_line(error)}")

    def _longest_under_way(self) -> tuple[str, float] | None:
        """Return the stage whose frame was taken first, and when."""
        # Copied in one step: looked up one by one, a stage may have ended meanwhile.
        stages = list(self._busy_since.items())
        return min(stages, key=lambda stage: stage[1], default=None)

    @contextmanager
    def _busy(self, stage: str) -> Iterator[None]:
        self._busy_since[stage] = time.monotonic()
        try:
            yield
        finally:
            del self._busy_since[stage]
