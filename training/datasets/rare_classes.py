# SPDX-License-Identifier: Apache-2.0
"""Frames that show rare classes come more often: repeat factor sampling.

Source: Gupta, Dollar, Girshick, LVIS, CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch.utils.data import Subset

from depthlab_core.labels import CITYSCAPES
from training.datasets.sample import Sample, SampleDataset

_COPIES = 4
"""Entries of a frame whose factor is 1; the others' are rounded to this fraction."""


def repeat_factors(classes: Sequence[Set[int]], threshold: float) -> npt.NDArray[np.float64]:
    """Return how often each frame should come, relative to one with common classes only.

    Args:
        classes: The classes that each frame shows.
        threshold: Share of the frames; classes that fewer show are rare.

    Returns:
        At least 1, ``(len(classes),)``: the root of ``threshold`` over the share of the frame's
        rarest class.
    """
    frames: dict[int, int] = {}
    for shown in classes:
        for category in shown:
            frames[category] = frames.get(category, 0) + 1
    factor = {
        category: max(1.0, (threshold * len(classes) / count) ** 0.5)
        for category, count in frames.items()
    }
    return np.array([max((factor[c] for c in shown), default=1.0) for shown in classes])


def repeat_frames(dataset: SampleDataset, factors: npt.NDArray[np.float64]) -> SampleDataset:
    """Return ``dataset`` with each frame listed in proportion to its factor."""
    copies = np.round(factors * _COPIES).astype(np.intp)
    entries = np.repeat(np.arange(len(factors)), copies)
    return Subset(dataset, entries.tolist())  # type: ignore[arg-type]


def shown_classes(dataset: SampleDataset, frames: Iterable[int]) -> list[Set[int]]:
    """Return the classes that each of ``frames`` shows.

    Reads the frames where the dataset has no list of them (a method ``classes``).
    """
    if isinstance(dataset, ListsClasses):
        return [dataset.classes(index) for index in frames]
    return [_classes_in(dataset[index]) for index in frames]


@runtime_checkable
class ListsClasses(Protocol):
    """A dataset that knows what its frames show without reading them."""

    def classes(self, index: int) -> Set[int]:
        """Return the classes of frame ``index``."""


def _classes_in(sample: Sample) -> Set[int]:
    if sample.panoptic is not None:
        values = np.unique(sample.panoptic)
        return frozenset((values[values >= 0] // CITYSCAPES.label_divisor).tolist())
    if sample.semantic is None:
        return frozenset()
    values = np.unique(sample.semantic)
    return frozenset(values[values != CITYSCAPES.ignore_label].tolist())
