# SPDX-License-Identifier: Apache-2.0
"""Targets, taken as ideal outputs, give the label map back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from depthlab_core.labels import CITYSCAPES
from depthlab_core.postprocess import panoptic_segmentation
from training.targets import TargetGenerator, segments_of

CELL = 32
"""Things keep to cells of this size, so that no two centres lie in one NMS window."""


@st.composite
def scenes(draw) -> np.ndarray:
    """Panoptic maps: bands of stuff with rectangular things on top, numbered row by row."""
    rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    panoptic = np.zeros((rows * CELL, columns * CELL), np.int32)
    for row in range(rows):
        panoptic[row * CELL : (row + 1) * CELL] = 1000 * draw(st.integers(0, 10))
    counts: dict[int, int] = {}
    for row in range(rows):
        for column in range(columns):
            category = draw(st.sampled_from([None, 11, 13, 18]))
            if category is None:
                continue
            counts[category] = counts.get(category, 0) + 1
            # Sides of whole multiples of 4 survive a reduction to a quarter.
            height, width = (4 * draw(st.integers(2, 6)) for _ in range(2))
            top, left = row * CELL + 4, column * CELL + 4
            panoptic[top : top + height, left : left + width] = category * 1000 + counts[category]
    return panoptic


def same_segments(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two maps agree in class and partition; numbers of instances may be permuted."""
    pairs = set(zip(first.ravel().tolist(), second.ravel().tolist(), strict=True))
    is_bijective = len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    return is_bijective and all(a // 1000 == b // 1000 for a, b in pairs)


@pytest.mark.parametrize("step", [1, 2, 4])
@given(scene=scenes())
@settings(max_examples=40, deadline=None)
def test_targets_as_outputs_give_the_labels_back(step, scene):
    panoptic = scene[::step, ::step]
    generate = TargetGenerator(CITYSCAPES, sigma=max(8 / step, 1))
    targets = generate(panoptic, segments_of(panoptic, CITYSCAPES))
    result, centers = panoptic_segmentation(
        torch.from_numpy(targets.semantic).long(),
        torch.from_numpy(targets.center_heatmap[0]),
        torch.from_numpy(targets.offset),
        thing_ids=CITYSCAPES.thing_ids,
        stuff_area=0,
        nms_kernel=3,
        top_k=None,
    )
    assert len(centers) == len(targets.center_points)
    assert same_segments(panoptic, result.numpy())
