# SPDX-License-Identifier: Apache-2.0
"""A dataset kept in memory, optionally at reduced size: small machines decode every file once."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from training.datasets.sample import Sample, SampleDataset


class InMemory:
    """Keeps each sample of a dataset after its first use.

    Args:
        dataset: Where samples come from.
        max_width: Wider samples are reduced to this width in pixels; their focal length follows
            and their depth stays metric. None keeps all sizes.
        keep: Whether samples are kept; False only resizes.
    """

    def __init__(
        self, dataset: SampleDataset, max_width: int | None = None, keep: bool = True
    ) -> None:
        self._dataset = dataset
        self._max_width = max_width
        self._samples: dict[int, Sample] | None = {} if keep else None

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        """Return frame ``index``."""
        if self._samples is not None and index in self._samples:
            return self._samples[index]
        sample = self._dataset[index]
        if self._max_width is not None and sample.image.shape[1] > self._max_width:
            sample = reduce_width(sample, self._max_width)
        if self._samples is not None:
            self._samples[index] = sample
        return sample


def reduce_width(sample: Sample, width: int) -> Sample:
    """Resize a sample: the image by area, labels and depth by nearest neighbour.

    Args:
        sample: The sample.
        width: Its new width in pixels; the height follows.
    """
    old_height, old_width = sample.image.shape[:2]
    height = max(1, round(old_height * width / old_width))
    rows = ((np.arange(height) + 0.5) * old_height / height).astype(np.intp)[:, None]
    columns = ((np.arange(width) + 0.5) * old_width / width).astype(np.intp)[None, :]
    image = cv2.resize(sample.image, (width, height), interpolation=cv2.INTER_AREA)
    return replace(
        sample,
        image=np.asarray(image, dtype=np.uint8),
        semantic=None if sample.semantic is None else sample.semantic[rows, columns],
        panoptic=None if sample.panoptic is None else sample.panoptic[rows, columns],
        depth=None if sample.depth is None else sample.depth[rows, columns],
        focal_length=None
        if sample.focal_length is None
        else sample.focal_length * width / old_width,
    )
