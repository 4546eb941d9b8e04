# SPDX-License-Identifier: Apache-2.0
"""Post-processing equals the reference's numbers and a plain pixel-by-pixel oracle."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from depthlab_core import postprocess
from depthlab_core.labels import VOID
from depthlab_core.postprocess import (
    find_instance_centers,
    group_pixels,
    merge_semantic_and_instance,
    panoptic_labels,
    panoptic_segmentation,
)

DATA = Path(__file__).parent / "data" / "postprocess.npz"
THINGS = (2, 3, 4)


def oracle(
    semantic: np.ndarray,
    heatmap: np.ndarray,
    offset: np.ndarray,
    *,
    things: tuple[int, ...] = THINGS,
    label_divisor: int = 1000,
    stuff_area: int = 4,
    threshold: float = 0.1,
    nms_kernel: int = 3,
    top_k: int | None = None,
    mask: np.ndarray | None = None,
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Panoptic map and centres, one pixel after the other."""
    height, width = semantic.shape
    pixels = [(y, x) for y in range(height) for x in range(width)]
    reach = nms_kernel // 2
    value = np.where(heatmap > np.float32(threshold), heatmap, -1)
    peaks = {
        (y, x): value[y, x]
        for y, x in pixels
        if value[y, x]
        == value[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1].max()
    }
    floor = 0.0
    if top_k is not None and top_k <= len(pixels):
        ranked = sorted((peaks.get(pixel, -1) for pixel in pixels), reverse=True)
        floor = max(ranked[top_k - 1], 0)
    centers = [pixel for pixel in pixels if peaks.get(pixel, -1) > floor]

    owner: dict[tuple[int, int], int] = {}
    is_foreground = np.isin(semantic, things) if mask is None else mask
    for y, x in pixels:
        if is_foreground[y, x] and centers:
            target = y + float(offset[0, y, x]), x + float(offset[1, y, x])
            distances = [(target[0] - cy) ** 2 + (target[1] - cx) ** 2 for cy, cx in centers]
            owner[y, x] = distances.index(min(distances))

    panoptic = np.full((height, width), VOID)
    counter: Counter[int] = Counter()
    for instance in sorted(set(owner.values())):
        members = [pixel for pixel in owner if owner[pixel] == instance]
        votes = Counter(int(semantic[pixel]) for pixel in members)
        category = min(c for c in votes if votes[c] == max(votes.values()))
        counter[category] += 1
        for pixel in members:
            if counter[category] < label_divisor:
                panoptic[pixel] = category * label_divisor + counter[category]
    free = [pixel for pixel in pixels if pixel not in owner]
    area = Counter(int(semantic[pixel]) for pixel in free)
    for pixel in free:
        category = int(semantic[pixel])
        if category not in things and area[category] >= stuff_area:
            panoptic[pixel] = category * label_divisor
    return panoptic, centers


def run(
    semantic: np.ndarray, heatmap: np.ndarray, offset: np.ndarray, **options: Any
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Call the function under test with the oracle's arguments."""
    names = {"things": "thing_ids", "mask": "foreground_mask"}
    defaults = {"things": THINGS, "stuff_area": 4, "nms_kernel": 3, "top_k": None}
    options = {names.get(k, k): v for k, v in (defaults | options).items()}
    if options.get("foreground_mask") is not None:
        options["foreground_mask"] = torch.from_numpy(options["foreground_mask"])
    panoptic, centers = panoptic_segmentation(
        torch.from_numpy(semantic),
        torch.from_numpy(heatmap),
        torch.from_numpy(offset),
        **options,
    )
    assert panoptic.dtype == torch.int32
    assert centers.dtype == torch.int64
    return panoptic.numpy(), [tuple(center) for center in centers.tolist()]


def assert_equal_to_oracle(
    semantic: np.ndarray, heatmap: np.ndarray, offset: np.ndarray, **options: Any
) -> None:
    expected, expected_centers = oracle(semantic, heatmap, offset, **options)
    got, centers = run(semantic, heatmap, offset, **options)
    assert centers == expected_centers
    np.testing.assert_array_equal(got, expected)


def random_maps(
    generator: np.random.Generator, height: int, width: int, levels: int = 8
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw maps; numbers are small fractions, so that ties are exact ties."""
    blocks = generator.integers(0, 5, (-(-height // 2), -(-width // 2)))
    semantic = blocks.repeat(2, 0).repeat(2, 1)[:height, :width].astype(np.int64)
    heatmap = (generator.integers(-2, levels, (height, width)) / 8).astype(np.float32)
    offset = (generator.integers(-40, 41, (2, height, width)) / 4).astype(np.float32)
    return semantic, heatmap, offset


@pytest.mark.parametrize("case", ["A", "B_area2048", "D_nocenter"])
def test_numbers_of_the_reference(case: str) -> None:
    with np.load(DATA) as file:
        options = json.loads(str(file["cases"]))[case]
        panoptic, centers = panoptic_segmentation(
            torch.from_numpy(file["sem"]),
            torch.from_numpy(file["center"]),
            torch.from_numpy(file["offset"]),
            thing_ids=range(11, 19),
            **options,
        )
        np.testing.assert_array_equal(panoptic.numpy(), file[f"{case}.panoptic"])
        np.testing.assert_array_equal(centers.numpy(), file[f"{case}.centers"])


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 14),
    width=st.integers(1, 14),
    levels=st.integers(1, 12),
    has_mask=st.booleans(),
    options=st.fixed_dictionaries(
        {
            "label_divisor": st.sampled_from([2, 10, 256, 1000, 2**20]),
            "stuff_area": st.sampled_from([0, 1, 4, 9, 1000]),
            "threshold": st.sampled_from([-0.2, 0.0, 0.1, 0.125, 0.5, 0.99, 2.0]),
            "nms_kernel": st.sampled_from([1, 3, 5, 7, 9]),
            "top_k": st.none() | st.integers(1, 250),
            "things": st.sampled_from([(), (0,), (1, 4), THINGS, (0, 1, 2, 3, 4), (7, 2)]),
        }
    ),
)
def test_equals_the_oracle(
    seed: int, height: int, width: int, levels: int, has_mask: bool, options: dict[str, Any]
) -> None:
    generator = np.random.default_rng(seed)
    maps = random_maps(generator, height, width, levels)
    mask = generator.random((height, width)) < 0.5 if has_mask else None
    assert_equal_to_oracle(*maps, **options, mask=mask)


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_the_size_of_chunks_does_not_matter(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(postprocess, "_DISTANCES_AT_ONCE", chunk)
    maps = random_maps(np.random.default_rng(0), 12, 13)
    assert_equal_to_oracle(*maps, nms_kernel=1)


def peaks(*values: float) -> torch.Tensor:
    """A heatmap with these peaks, far enough apart."""
    heatmap = torch.zeros(3, 10 * len(values))
    heatmap[1, 5::10] = torch.tensor(values)
    return heatmap


@pytest.mark.parametrize(
    ("top_k", "kept"),
    [
        (None, [0, 1, 2, 3, 4]),
        (1, []),
        (2, [2]),
        (3, [2]),  # the second and third are equal, and neither is above the third
        (4, [0, 2, 3]),
        (5, [0, 2, 3, 4]),
        (6, [0, 1, 2, 3, 4]),  # the sixth is no peak
        (150, [0, 1, 2, 3, 4]),
        (151, [0, 1, 2, 3, 4]),
        (10**6, [0, 1, 2, 3, 4]),
    ],
)
def test_top_k_keeps_what_is_strictly_above_the_kth(top_k: int | None, kept: list[int]) -> None:
    heatmap = peaks(0.5, 0.2, 0.9, 0.5, 0.4)
    centers = find_instance_centers(heatmap, threshold=0.1, nms_kernel=7, top_k=top_k)
    assert centers.tolist() == [[1, 5 + 10 * index] for index in kept]


def test_the_threshold_itself_is_no_centre() -> None:
    heatmap = peaks(0.1, 0.1000001, 0.25)
    for threshold, kept in ((0.1, [15, 25]), (0.25, []), (0.0, [5, 15, 25]), (-1.0, [5, 15, 25])):
        centers = find_instance_centers(heatmap, threshold=threshold, nms_kernel=7, top_k=None)
        assert centers[:, 1].tolist() == kept


def test_every_pixel_of_a_plateau_is_a_centre() -> None:
    heatmap = torch.zeros(9, 9)
    heatmap[3:5, 3:6] = 0.5
    centers = find_instance_centers(heatmap, threshold=0.1, nms_kernel=7, top_k=200)
    assert centers.tolist() == [[y, x] for y in (3, 4) for x in (3, 4, 5)]


def test_a_higher_peak_within_the_window_suppresses() -> None:
    heatmap = torch.zeros(1, 20)
    heatmap[0, [5, 8, 12]] = torch.tensor([0.5, 0.6, 0.4])
    for nms_kernel, kept in ((1, [5, 8, 12]), (5, [5, 8, 12]), (7, [8, 12]), (9, [8])):
        centers = find_instance_centers(heatmap, threshold=0.1, nms_kernel=nms_kernel, top_k=9)
        assert centers[:, 1].tolist() == kept


def test_without_centres_things_are_void() -> None:
    semantic = np.array([[0, 0, 2], [0, 0, 2]])
    panoptic, centers = run(
        semantic, np.zeros((2, 3), np.float32), np.zeros((2, 2, 3), np.float32)
    )
    assert centers == []
    np.testing.assert_array_equal(panoptic, [[0, 0, VOID], [0, 0, VOID]])


def test_stuff_within_an_external_mask_becomes_an_instance() -> None:
    semantic = np.array([[0, 0, 1, 1], [0, 0, 1, 2]])
    heatmap = np.zeros((2, 4), np.float32)
    heatmap[0, [0, 3]] = 0.9
    mask = np.array([[1, 0, 1, 1], [0, 0, 1, 0]], bool)
    panoptic, _ = run(
        semantic, heatmap, np.zeros((2, 2, 4), np.float32), mask=mask, stuff_area=3, nms_kernel=3
    )
    # Class 2 outside of the mask is neither instance nor stuff.
    np.testing.assert_array_equal(panoptic, [[1, 0, 1001, 1001], [0, 0, 1001, VOID]])


def test_instances_are_counted_by_class_in_the_order_of_their_centres() -> None:
    semantic = np.array([[2, 3, 2, 3, 2]])
    heatmap = np.full((1, 5), 0.5, np.float32)
    panoptic, centers = run(semantic, heatmap, np.zeros((2, 1, 5), np.float32))
    assert centers == [(0, x) for x in range(5)]
    np.testing.assert_array_equal(panoptic, [[2001, 3001, 2002, 3002, 2003]])


def test_instances_that_the_divisor_has_no_labels_for_are_void() -> None:
    semantic = np.array([[2, 2, 3, 2, 2, 3, 2, 2]])
    heatmap = np.full((1, 8), 0.5, np.float32)
    offset = np.zeros((2, 1, 8), np.float32)
    panoptic, _ = run(semantic, heatmap, offset, label_divisor=4)
    np.testing.assert_array_equal(panoptic, [[9, 10, 13, 11, VOID, 14, VOID, VOID]])


def test_an_instance_takes_its_majority_class_and_the_lowest_of_equals() -> None:
    semantic = np.array([[4, 2, 4, 4, 2, 3]])
    heatmap = np.zeros((1, 6), np.float32)
    heatmap[0, [1, 4]] = 1
    panoptic, _ = run(semantic, heatmap, np.zeros((2, 1, 6), np.float32))
    np.testing.assert_array_equal(panoptic, [[4001, 4001, 4001, 2001, 2001, 2001]])


def test_the_offset_decides_and_the_first_centre_wins_a_tie() -> None:
    centers = torch.tensor([[0, 0], [0, 4]])
    offset = torch.zeros(2, 1, 5)
    offset[1] = torch.tensor([4.0, 1.0, 0.0, -1.0, -4.0])
    mask = torch.tensor([[True, True, True, True, True]])
    # Targets are columns 4, 2, 2, 2, 0.
    assert group_pixels(centers, offset, mask).tolist() == [[2, 1, 1, 1, 1]]


def test_stuff_area_counts_pixels_outside_of_instances() -> None:
    semantic = torch.tensor([[0, 0, 0, 1, 1, 2]])
    instance = torch.tensor([[1, 0, 0, 0, 0, 0]])
    for stuff_area, expected in (
        (2, [1, 0, 0, 1000, 1000, VOID]),
        (3, [1, VOID, VOID, VOID, VOID, VOID]),
    ):
        panoptic = merge_semantic_and_instance(
            semantic, instance, thing_ids=(2,), label_divisor=1000, stuff_area=stuff_area
        )
        assert panoptic.tolist() == [expected]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_integer_types_of_the_semantic_map(dtype: torch.dtype) -> None:
    semantic, heatmap, offset = map(
        torch.from_numpy, random_maps(np.random.default_rng(1), 12, 13)
    )
    expected, _ = panoptic_segmentation(semantic, heatmap, offset, thing_ids=THINGS)
    got, _ = panoptic_segmentation(semantic.to(dtype), heatmap, offset, thing_ids=set(THINGS))
    assert torch.equal(got, expected)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64])
def test_types_of_the_mask(dtype: torch.dtype) -> None:
    semantic, heatmap, offset = map(
        torch.from_numpy, random_maps(np.random.default_rng(2), 12, 13)
    )
    mask = torch.isin(semantic, torch.tensor(THINGS)).to(dtype)
    expected = panoptic_segmentation(semantic, heatmap, offset, thing_ids=THINGS)
    got = panoptic_segmentation(semantic, heatmap, offset, thing_ids=THINGS, foreground_mask=mask)
    assert all(map(torch.equal, got, expected))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_coordinates_are_exact_whatever_the_offset_is_in(dtype: torch.dtype) -> None:
    # In half precision, columns above 2048 (bfloat16: 256) fall together.
    centers = torch.tensor([[0, 4000], [0, 4003]])
    mask = torch.ones(1, 4010, dtype=torch.bool)
    instance_map = group_pixels(centers, torch.zeros(2, 1, 4010, dtype=dtype), mask)
    assert instance_map[0, :4002].eq(1).all()
    assert instance_map[0, 4002:].eq(2).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_heatmaps(dtype: torch.dtype) -> None:
    semantic, heatmap, offset = map(
        torch.from_numpy, random_maps(np.random.default_rng(3), 12, 13)
    )
    expected = panoptic_segmentation(semantic, heatmap, offset, thing_ids=THINGS)
    got = panoptic_segmentation(semantic, heatmap.to(dtype), offset.to(dtype), thing_ids=THINGS)
    assert all(map(torch.equal, got, expected))


def test_views_give_what_copies_give_and_stay_as_they_are() -> None:
    semantic, heatmap, offset = map(
        torch.from_numpy, random_maps(np.random.default_rng(4), 12, 12)
    )
    views = semantic.T, heatmap.T, offset.permute(0, 2, 1)
    copies = [view.contiguous() for view in views]
    got = panoptic_segmentation(*views, thing_ids=THINGS, top_k=9)
    expected = panoptic_segmentation(*copies, thing_ids=THINGS, top_k=9)
    assert all(map(torch.equal, got, expected))
    assert all(map(torch.equal, views, copies))


def test_not_a_number_is_no_centre() -> None:
    heatmap = peaks(0.5, float("nan"), 0.7)
    centers = find_instance_centers(heatmap, threshold=0.1, nms_kernel=7, top_k=200)
    assert centers[:, 1].tolist() == [5, 25]


def test_more_segments_than_ids_become_void() -> None:
    # Of 70,000 things of one pixel every second is there, and each class has room for all.
    votes = torch.zeros(140_001, 3, dtype=torch.int64)
    votes[0, 0] = 9
    votes[1::2, 1] = 1
    labels = panoptic_labels(
        votes,
        is_thing=torch.tensor([False, True, True]),
        label_divisor=10**6,
        stuff_area=1,
    )
    things = labels[1::2, 1]
    told = postprocess.MOST_SEGMENTS - 3
    assert torch.equal(things[:told], torch.arange(1, told + 1, dtype=torch.int32) + 10**6)
    assert things[told:].eq(VOID).all()
    assert labels[2::2].eq(VOID).all()
    assert labels[0].tolist() == [0, VOID, VOID]
