# SPDX-License-Identifier: Apache-2.0
"""What the camera player can play, whatever it is: frames, and what becomes of unreadable ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from depthlab_ros.camera_model import CameraModel
from depthlab_ros.truth import Truth

DEFAULT_RATE = 10.0
Warn: TypeAlias = Callable[[str], object]


class SourceError(Exception):
    """A source that is missing, unreadable or without images; one line for the user."""


@dataclass(frozen=True)
class SourceFrame:
    """One frame of a source.

    Attributes:
        image: RGB, uint8 ``(H, W, 3)``.
        time: Seconds since the first frame of this pass.
        stamp_ns: Recorded header stamp in nanoseconds, ``None`` if the source has none.
        frame_id: Recorded header frame, ``None`` if the source has none.
        camera: Recorded calibration, ``None`` if the source has none.
        truth: Ground truth of the image, ``None`` if the source has none.
    """

    image: NDArray[np.uint8]
    time: float
    stamp_ns: int | None = None
    frame_id: str | None = None
    camera: CameraModel | None = None
    truth: Truth | None = None


class FrameSource(Protocol):
    """Something that can be played."""

    @property
    def rate(self) -> float:
        """Frames per second of its own."""

    @property
    def is_live(self) -> bool:
        """Whether frames come when they come, so that playing must not wait between them."""

    @property
    def frame_count(self) -> int | None:
        """Frames of one pass, as far as the source says; ``None`` = unknown."""

    @property
    def has_truth(self) -> bool:
        """Whether the frames come with ground truth."""

    def frames(self) -> Iterator[SourceFrame]:
        """Yield every frame once, from the first on; a new call starts again."""


class Leniency:
    """Leaves images out that cannot be read, with a warning, where others can.

    A recording may have been cut short, and the first image of many a camera is damaged; but what
    begins with ten unreadable ones will not get better.

    Args:
        warn: Told of each image that is left out, in one line.
    """

    PATIENCE = 10

    def __init__(self, warn: Warn) -> None:
        self._warn = warn
        self._all_well = False
        self._problems: list[str] = []

    def on_image(self) -> None:
        """Count an image that could be read."""
        self._all_well = True
        self._tell()

    def on_problem(self, problem: str) -> None:
        """Take in why an image could not be read, in one line.

        Raises:
            SourceError: If it was the last of too many, with no other image before them.
        """
        self._problems.append(problem)
        if self._all_well:
            self._tell()
        elif len(self._problems) == self.PATIENCE:
            self.on_end()

    def on_end(self) -> None:
        """Say that there are no more images.

        Raises:
            SourceError: If none of them could be read.
        """
        if self._problems:
            raise SourceError(self._problems[0])

    def _tell(self) -> None:
        for problem in self._problems:
            self._warn(f"{problem}: left out")
        self._problems.clear()
