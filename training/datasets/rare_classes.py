# SPDX-License-Identifier: Apache-2.0
"""Frames that show rare classes come more often: repeat factor sampling.

Source: Gupta, Dollar, Girshick, LVIS, CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Sequence, Set

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


def repeat_rare(dataset: SampleDataset, threshold: float) -> SampleDataset:
    """Return ``dataset`` with the frames of rare classes listed more often than the others.

    Reads every frame once. See ``repeat_factors`` for ``threshold``.
    """
    shown = [_classes(dataset[index]) for index in range(len(dataset))]
    copies = np.round(repeat_factors(shown, threshold) * _COPIES).astype(np.intp)
    entries = np.repeat(np.arange(len(shown)), copies)
    return Subset(dataset, entries.tolist())  # type: ignore[arg-type]


def _classes(sample: Sample) -> frozenset[int]:
    if sample.panoptic is not None:
        values = np.unique(sample.panoptic)
        return frozenset((values[values >= 0] // CITYSCAPES.label_divisor).tolist())
    if sample.semantic is None:
        return frozenset()
    values = np.unique(sample.semantic)
    return frozenset(values[values != CITYSCAPES.ignore_label].tolist())
