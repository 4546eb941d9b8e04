# SPDX-License-Identifier: Apache-2.0
"""The thread in which the node works on frames, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from depthlab_ros.image_codec import ConversionError
from depthlab_ros.latest_frame import LatestFrame
from depthlab_ros.one_line import one_line

T = TypeVar("T")


class InferenceWorker(Generic[T]):
    """Hands the newest frame to a function, in a thread of its own, until it is stopped.

    A frame that makes the function fail costs that frame alone.

    Args:
        process: Works on one frame.
        give_up: Told in one line why a frame was given up.
    """

    def __init__(self, process: Callable[[T], None], give_up: Callable[[str], None]) -> None:
        self._process = process
        self._give_up = give_up
        self._slot: LatestFrame[T] = LatestFrame()
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    @property
    def replaced(self) -> int:
        """Number of frames that a newer one replaced while they waited."""
        return self._slot.replaced

    def put(self, frame: T) -> None:
        """Offer a frame; never blocks."""
        self._slot.put(frame)

    def stop(self) -> None:
        """End the thread, after the frame that is under way."""
        self._slot.close()
        self._thread.join()

    def _run(self) -> None:
        while (frame := self._slot.take()) is not None:
            try:
                self._process(frame)
            except ConversionError as error:
                self._give_up(f"frame dropped: {error}")
            except Exception as error:  # whatever a model may raise must not end the node
                self._give_up(f"frame failed: {type(error).__name__}: {one_line(error)}")
