# SPDX-License-Identifier: Apache-2.0
"""The thread in which the node works on frames, one after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from depthlab_ros.image_codec import ConversionError
from depthlab_ros.latest_frame import LatestFrames
from depthlab_ros.one_line import one_line

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class InferenceWorker(Generic[K, T]):
    """Hands each camera's newest frame to a function, in a thread of its own, until stopped.

    A frame that makes the function fail costs that frame alone.

    Args:
        process: Works on one frame of a camera.
        give_up: Told in one line why a frame was given up.
    """

    def __init__(self, process: Callable[[K, T], None], give_up: Callable[[K, str], None]) -> None:
        self._process = process
        self._give_up = give_up
        self._slots: LatestFrames[K, T] = LatestFrames()
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    @property
    def busy_s(self) -> float:
        """Seconds since the frame under way was taken; 0 while there is none."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

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
        """End the thread, after the frame that is under way."""
        self._slots.close()
        self._thread.join()

    def _run(self) -> None:
        while (taken := self._slots.take()) is not None:
            camera, frame = taken
            self._busy_since = time.monotonic()
            try:
                self._process(camera, frame)
            except ConversionError as error:
                self._give_up(camera, f"frame dropped: {error}")
            except Exception as error:  # whatever a model may raise must not end the node
                self._give_up(camera, f"frame failed: {type(error).__name__}: {one_line(error)}")
            self._busy_since = None
