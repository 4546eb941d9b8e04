# SPDX-License-Identifier: Apache-2.0
"""Targets, taken as a coarser network's output and restored, give the label map back."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from depthlab_core import CITYSCAPES
from depthlab_core.network import ModelOutput
from depthlab_core.postprocess import panoptic_segmentation
from depthlab_core.restore import restore
from training.targets import TargetGenerator, Targets, segments_of

DIVISOR = CITYSCAPES.label_divisor
STUFF = [c.id for c in CITYSCAPES.categories if not c.is_thing]
SLOW = settings(max_examples=40, deadline=None)


def background(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Draw overlapping rectangles of stuff."""
    panoptic = np.full((height, width), generator.choice(STUFF) * DIVISOR)
    for _ in range(4):
        top, left = generator.integers(0, height), generator.integers(0, width)
        panoptic[top:, left:] = generator.choice(STUFF) * DIVISOR
    return panoptic


def centroids(panoptic: np.ndarray) -> dict[int, np.ndarray]:
    things = [i for i in np.unique(panoptic).tolist() if i % DIVISOR > 0]
    return {i: np.argwhere(panoptic == i).mean(axis=0) for i in things}


def smallest_distance(points: list[np.ndarray]) -> float:
    return min(
        (float(np.linalg.norm(a - b)) for i, a in enumerate(points) for b in points[:i]),
        default=np.inf,
    )


def canonical(panoptic: np.ndarray) -> np.ndarray:
    """Number each class's instances in the order of their first pixels."""
    ids, first, where = np.unique(panoptic, return_index=True, return_inverse=True)
    number, seen = np.array(ids), {}
    for index in np.argsort(first):
        category, instance = divmod(int(ids[index]), DIVISOR)
        if category >= 0 and instance > 0:
            seen[category] = seen.get(category, 0) + 1
            number[index] = category * DIVISOR + seen[category]
    return number[where].reshape(panoptic.shape)


def ideal_output(targets: Targets, scale: int) -> ModelOutput:
    """Return what a network that makes no error says on a grid coarser by ``scale``."""

    def shrink(x: np.ndarray) -> torch.Tensor:
        return F.avg_pool2d(torch.from_numpy(x)[None], scale)

    logits = F.one_hot(torch.from_numpy(targets.semantic).long(), len(CITYSCAPES))
    return ModelOutput(
        semantic_logits=F.avg_pool2d(logits.permute(2, 0, 1)[None].float(), scale),
        center_heatmap=shrink(targets.center_heatmap),
        offset=shrink(targets.offset) / scale,
        depth=shrink(targets.center_heatmap),
    )


def there_and_back(panoptic: np.ndarray, scale: int) -> np.ndarray:
    targets = TargetGenerator(CITYSCAPES)(panoptic, segments_of(panoptic, CITYSCAPES))
    output = restore(ideal_output(targets, scale), *panoptic.shape)
    result, _ = panoptic_segmentation(
        output.semantic_logits[0].argmax(0),
        output.center_heatmap[0, 0],
        output.offset[0],
        thing_ids=CITYSCAPES.thing_ids,
        label_divisor=DIVISOR,
        stuff_area=1,
    )
    return result.numpy()


@SLOW
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 30))
def test_at_full_resolution(seed: int, count: int) -> None:
    """Exact for any scene whose things' centroids are 1.5 pixels apart or more.

    Then every centroid is nearest to its own rounded one: rounding moves it by 0.71 at most.
    """
    generator = np.random.default_rng(seed)
    height, width = generator.integers(20, 120, 2)
    panoptic = background(generator, height, width)
    y, x = np.mgrid[:height, :width]
    for instance in range(1, count + 1):
        category = int(generator.choice(CITYSCAPES.thing_ids))
        top, left = generator.integers(-5, height), generator.integers(-5, width)
        size_y, size_x = generator.integers(1, 30, 2)
        if generator.random() < 0.5:
            shape = (abs(y - top) < size_y) & (abs(x - left) < size_x)
        else:
            shape = ((y - top) / size_y) ** 2 + ((x - left) / size_x) ** 2 < 1
        panoptic[shape] = category * DIVISOR + instance
    assume(smallest_distance(list(centroids(panoptic).values())) >= 1.5)
    np.testing.assert_array_equal(canonical(there_and_back(panoptic, 1)), canonical(panoptic))


def stand_apart(coarse: np.ndarray) -> bool:
    """Whether interpolated offsets of every thing point nearer to its centre than to others."""
    points = centroids(coarse)
    for i, center in points.items():
        radius = np.linalg.norm(np.argwhere(coarse == i) - center, axis=1).max() + np.sqrt(2)
        others = [point for j, point in points.items() if j != i]
        distance = min((np.linalg.norm(point - center) for point in others), default=np.inf)
        if distance < max(1.25 * radius + 1, 4):
            return False
    return True


@pytest.mark.parametrize("scale", [1, 2, 4])
@SLOW
@given(seed=st.integers(0, 2**32 - 1))
def test_at_lower_resolution(scale: int, seed: int) -> None:
    """Exact for things that stand apart on the coarse grid, but for corners at a quarter.

    Between coarse pixels, predictions are interpolated. So

    - things do not touch: where they do, two offsets would be mixed;
    - things keep off the border: there nothing is interpolated, and a centre's peak is a plateau;
    - centroids are far apart: interpolation with stuff, whose offset is 0, moves the point that a
      thing's border pixel points to by at most 1 - (5/8)^2 = 0.61 of the way back to that pixel,
      and centres are found up to a pixel beside the centroid;
    - at a quarter, the corner pixels of segments are left out: (5/8)^2 = 0.39 of such a pixel's
      value is its own segment's, less than what two neighbours of one other segment have.
    """
    generator = np.random.default_rng(seed)
    coarse = background(generator, 26, 34)
    instance = 0
    for top in range(1, 25, 8):
        for left in range(1, 33, 8):
            size = generator.integers(1, 6, 2)
            y, x = generator.integers(0, 8 - size) + (top, left)
            if generator.random() < 0.7:
                instance += 1
                shape = generator.random(size) < 0.9
                part = coarse[y : y + size[0], x : x + size[1]]
                part[shape] = int(generator.choice(CITYSCAPES.thing_ids)) * DIVISOR + instance
    assume(stand_apart(coarse))

    panoptic = coarse.repeat(scale, axis=0).repeat(scale, axis=1)
    compared = np.ones(panoptic.shape, bool)
    if scale == 4:
        # Coarse pixels on one diagonal are of one segment, those on the other are not.
        a, b, c, d = coarse[:-1, :-1], coarse[:-1, 1:], coarse[1:, :-1], coarse[1:, 1:]
        for row, column in np.argwhere(((a == d) & (b != c)) | ((b == c) & (a != d))):
            compared[4 * row + 3 : 4 * row + 5, 4 * column + 3 : 4 * column + 5] = False
    got, expected = (
        canonical(np.where(compared, labels, -1))
        for labels in (there_and_back(panoptic, scale), panoptic)
    )
    np.testing.assert_array_equal(got, expected)
