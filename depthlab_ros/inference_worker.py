# SPDX-License-Identifier: Apache-2.0
"""The two threads in which the node works on frames: one infers, one publishes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

from depthlab_ros.image_codec import ConversionError
from depthlab_ros.latest_frame import LatestFrames
from depthlab_ros.one_line import one_line

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
R = TypeVar("R")
V = TypeVar("V")


class InferenceWorker(Generic[K, T, R]):
    """Hands each camera's newest frame to two functions in turn, in threads of their own.

    While one result is published the next frame is worked on; frames keep their order. A frame
    that makes a function fail costs that frame alone.

    Args:
        infer: Works on one frame of a camera; None ends the frame's way here.
        publish: Works on what ``infer`` returned.
        give_up: Told in one line why a frame was given up.
    """

    def __init__(
        self,
        infer: Callable[[K, T], R | None],
        publish: Callable[[K, R], None],
        give_up: Callable[[K, str], None],
    ) -> None:
        self._infer = infer
        self._publish = publish
        self._give_up = give_up
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
        began = min(list(self._busy_since.values()), default=None)
        return 0.0 if began is None else time.monotonic() - began

    def replaced(self, camera: K) -> int:
        """Return the number of a camera's frames that a newer one replaced while they waited."""
        return self._slots.replaced(camera)

    def put(self, camera: K, frame: T) -> None:
        """Offer a frame; never blocks."""
        self._slots.put(camera, frame)

    def forget_waiting(self) -> None:
        """Drop the frames that wait."""
        self._slots.clear()

    def stop(self) -> None:
        """End both threads, after the frames that are under way."""
        self._slots.close()
        for thread in self._threads:
            thread.join()

    def _run_inference(self) -> None:
        while (taken := self._slots.take()) is not None:
            camera, frame = taken
            result = self._guarded("inference", camera, partial(self._infer, camera, frame))
            if result is not None:
                self._results.put((camera, result))
                # Until it is being published: a frame taken before would only grow old here.
                self._results.join()
        self._results.put(None)

    def _run_publishing(self) -> None:
        while (taken := self._results.get()) is not None:
            self._results.task_done()
            camera, result = taken
            self._guarded("publishing", camera, partial(self._publish, camera, result))

    def _guarded(self, stage: str, camera: K, work: Callable[[], V | None]) -> V | None:
        self._busy_since[stage] = time.monotonic()
        try:
            return work()
        except ConversionError as error:
            self._give_up(camera, f"frame dropped: {error}")
        except Exception as error:  # whatever a model may raise must not end the node
            self._give_up(camera, f"frame failed: {type(error).__name__}: {one_line(error)}")
        finally:
            del self._busy_since[stage]
        return None
