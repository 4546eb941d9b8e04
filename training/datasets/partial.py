# SPDX-License-Identifier: Apache-2.0
"""A dataset of which only some kinds of labels are used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from depthlab_core.labels import CITYSCAPES
from training.datasets.sample import Sample, SampleDataset


class PartialLabels:
    """Hides kinds of labels.

    Args:
        dataset: Where samples come from.
        semantic, panoptic, depth: Which labels to show.
    """

    def __init__(
        self, dataset: SampleDataset, semantic: bool, panoptic: bool, depth: bool
    ) -> None:
        self._dataset = dataset
        self._semantic = semantic
        self._panoptic = panoptic
        self._depth = depth

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        """Return frame ``index`` without the hidden labels."""
        sample = self._dataset[index]
        # The panoptic map would stand in for missing semantic labels: hide these by ignoring.
        hidden = np.full(sample.image.shape[:2], CITYSCAPES.ignore_label, dtype=np.uint8)
        return replace(
            sample,
            semantic=sample.semantic if self._semantic else hidden,
            panoptic=sample.panoptic if self._panoptic else None,
            depth=sample.depth if self._depth else None,
        )
