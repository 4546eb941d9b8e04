# SPDX-License-Identifier: Apache-2.0
"""Generated streets, drawn when asked for: an endless data set without files.

``training.streets.render`` writes the same frames, to be read as often as one likes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast, get_args

from training.datasets.sample import DatasetError, Sample

if TYPE_CHECKING:
    from training.streets.generator import StreetGenerator

FRAMES_TOGETHER = 10
"""Neighbouring frames that show one town, which takes longer to build than a frame to draw."""

_NAME = "generated streets"
_REMEDY = "Run make setup-rendering."


class DrawnStreets:
    """Frames of ``StreetGenerator``, with panoptic labels and depth.

    The renderer is made with the first frame, in the process that asks for it: loader processes
    have one each.

    Args:
        split: ``train`` or ``val``: disjoint towns.
        frames: How many frames there are; none is kept.
        size: Height and width in pixels.
        seed: Another seed gives other towns.

    Raises:
        DatasetError: If there is no such split.
    """

    def __init__(
        self, split: str, frames: int, size: tuple[int, int] = (256, 512), seed: int = 0
    ) -> None:
        from training.streets.appearance import Split

        if split not in get_args(Split):
            raise DatasetError(f"{_NAME}: split: got {split!r}, expected train or val")
        self._split = cast("Split", split)
        self._frames = frames
        self._size = size
        self._seed = seed
        self._generator: tuple[int, StreetGenerator] | None = None

    def __len__(self) -> int:
        """Return the number of frames."""
        return self._frames

    def __getitem__(self, index: int) -> Sample:
        """Draw frame ``index``.

        Raises:
            DatasetError: If this machine cannot draw; names what to install.
        """
        if not 0 <= index < self._frames:
            raise IndexError(f"frame: got {index}, expected 0 to {self._frames - 1}")
        frame = self._of_this_process().frame(index)
        return Sample(
            image=frame.image,
            semantic=None,
            panoptic=frame.panoptic,
            depth=frame.depth,
            focal_length=frame.focal_length,
            name=frame.name,
        )

    def _of_this_process(self) -> StreetGenerator:
        if self._generator is None or self._generator[0] != os.getpid():
            try:
                # Here, because training on real frames alone needs no renderer.
                from training.streets.generator import StreetGenerator
                from training.streets.gpu import RendererError
            except ImportError as error:
                raise DatasetError(f"{_NAME}: {error}. {_REMEDY}") from error
            height, width = self._size
            try:
                generator = StreetGenerator(
                    self._split, seed=self._seed, width=width, height=height
                )
            except RendererError as error:
                raise DatasetError(f"{_NAME}: {error}. {_REMEDY}") from error
            self._generator = (os.getpid(), generator)
        return self._generator[1]
