# SPDX-License-Identifier: Apache-2.0
"""Frames of rare classes come more often."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthlab_core.labels import CITYSCAPES
from training.config import DatasetConfig
from training.datasets.build import build_dataset
from training.datasets.rare_classes import repeat_factors, repeat_frames, shown_classes
from training.datasets.sample import DatasetError, Sample

CAR, ROAD, TRAIN = 13, 0, 16


class Frames:
    """Frames of two rows that show the given classes."""

    def __init__(self, classes: list[tuple[int, ...]], *, panoptic: bool) -> None:
        self._classes, self._has_panoptic = classes, panoptic

    def __len__(self) -> int:
        return len(self._classes)

    def __getitem__(self, index: int) -> Sample:
        semantic = np.full((2, 8), CITYSCAPES.ignore_label, np.uint8)
        panoptic = np.full((2, 8), -1, np.int32)
        for column, category in enumerate(self._classes[index]):
            semantic[0, column] = category
            panoptic[0, column] = category * CITYSCAPES.label_divisor + 1
        image = np.zeros((2, 8, 3), np.uint8)
        if self._has_panoptic:
            return Sample(image, None, panoptic, None, None, str(index))
        return Sample(image, semantic, None, None, None, str(index))


@pytest.mark.parametrize("panoptic", [True, False])
def test_a_class_of_one_frame_in_sixteen_comes_as_the_root_says(panoptic):
    frames = Frames([(ROAD, CAR)] * 15 + [(ROAD, TRAIN)], panoptic=panoptic)
    repeated = repeat_frames(frames, repeat_factors(shown_classes(frames, range(16)), 0.25))
    names = Counter(repeated[index].name for index in range(len(repeated)))
    assert names == {**{str(index): 4 for index in range(15)}, "15": 8}


def test_frames_without_labels_come_like_others():
    assert repeat_factors([set(), {ROAD}, {ROAD}, {ROAD}], 0.5).tolist() == [1, 1, 1, 1]


@given(
    st.lists(st.sets(st.integers(0, 18), max_size=6), min_size=1, max_size=40),
    st.floats(0.01, 1.0),
)
def test_factors_are_at_least_one_and_rise_with_rarity(classes, threshold):
    factors = repeat_factors(classes, threshold)
    assert factors.min() >= 1
    share = {
        category: sum(category in shown for shown in classes) / len(classes)
        for category in range(19)
    }
    rarest = [min((share[c] for c in shown), default=1.0) for shown in classes]
    order = np.argsort(rarest, kind="stable")
    assert (np.diff(factors[order]) <= 1e-9).all()
    assert all(f == 1 for f, r in zip(factors, rarest, strict=True) if r >= threshold)


def test_files_are_not_read_to_know_their_classes(cityscapes_root):
    config = DatasetConfig(kind="cityscapes", root=str(cityscapes_root), repeat_threshold=1.0)
    frames = build_dataset("streets", dataclasses.replace(config, repeat_threshold=0.0))
    read = [
        set(np.unique(frames[index].panoptic[frames[index].panoptic >= 0] // 1000))
        for index in range(len(frames))
    ]
    repeated = build_dataset("streets", config)
    names = Counter(repeated[index].name for index in range(len(repeated)))
    factors = repeat_factors(read, 1.0)
    assert names == {frames[index].name: round(4 * factor) for index, factor in enumerate(factors)}
    assert max(factors) > 1

    beyond = dataclasses.replace(config, only=(9,))
    with pytest.raises(DatasetError, match=r"only: got \[9\]"):
        build_dataset("streets", beyond)
    only = build_dataset("streets", dataclasses.replace(config, only=(1,)))
    assert [only[index].name for index in range(len(only))] == [frames[1].name] * 4

    for path in (cityscapes_root / "gtFine" / "cityscapes_panoptic_train").iterdir():
        path.unlink()
    assert shown_classes(frames, range(len(frames))) == read
