# SPDX-License-Identifier: Apache-2.0
"""The kernels of the CPU's post-processing, each by itself."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmarks.scenes import street_scene
from depthlab_core import CITYSCAPES
from depthlab_core.config import PostprocessConfig
from depthlab_core.cpu import (
    bilinear,
    cells,
    centers,
    compiled,
    grouping,
    semantics,
    statistics,
    tint,
)
from depthlab_core.cpu.bilinear import resize_plane, taps
from depthlab_core.cpu.centers import find_instance_centers_on_cpu
from depthlab_core.cpu.compiled import kernel, row_bands
from depthlab_core.cpu.grouping import Runs, group_pixels_on_cpu
from depthlab_core.cpu.interpret import interpret_on_cpu
from depthlab_core.cpu.semantics import label_pixels
from depthlab_core.postprocess import find_instance_centers, group_pixels


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Let bands meet within the image, whatever machine this is."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def plain_options() -> dict[str, Any]:
    return {
        "labels": CITYSCAPES,
        "postprocess": PostprocessConfig(),
        "depth_scale": 1.0,
        "mask_undefined": False,
    }


def test_the_number_of_threads_does_not_matter() -> None:
    output = street_scene(256, 512, centers=50)
    found = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        found.append(interpret_on_cpu(output, 256, 512, **plain_options()))
    for other in found[1:]:
        np.testing.assert_array_equal(other.id_map, found[0].id_map)
        for one, two in zip(found[0].segments, other.segments, strict=True):
            assert one.depth_median == two.depth_median
            assert one.depth_mean == pytest.approx(two.depth_mean, rel=1e-12)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((64, 128), (256, 512)),
        ((96, 128), (360, 480)),
        ((80, 144), (1080, 1920)),
        ((90, 100), (60, 70)),
        ((64, 65), (64, 65)),
        ((1, 1), (70, 80)),
    ],
)
def test_resize_is_torchs_to_the_last_bit(
    source: tuple[int, int], target: tuple[int, int]
) -> None:
    plane = 10 * torch.randn(1, 1, *source, generator=torch.Generator().manual_seed(0))
    expected = F.interpolate(plane, target, mode="bilinear", align_corners=False)
    rows, columns = taps(source[0], target[0]), taps(source[1], target[1])
    got = resize_plane(plane[0, 0].numpy(), rows, columns)
    np.testing.assert_array_equal(got, expected[0, 0].numpy())
    tripled = resize_plane(plane[0, 0].numpy(), rows, columns, factor=3.0)
    np.testing.assert_array_equal(tripled, (expected * 3.0)[0, 0].numpy())


def test_probability_of_extreme_logits() -> None:
    logits = torch.tensor([[0.0, 100.0, -300.0, 5.0], [0.0, -100.0, 300.0, 5.5]]).view(2, 1, 4)
    labels, probability = label_pixels(logits.numpy(), taps(1, 1), taps(4, 4))
    assert labels.tolist() == [[0, 0, 1, 1]]
    expected = logits.softmax(dim=0).max(dim=0).values
    np.testing.assert_allclose(probability, expected.numpy(), rtol=1e-6)


@pytest.mark.parametrize("top_k", [None, 1, 2, 5, 200, 10**6])
@pytest.mark.parametrize("levels", [2, 5, 10**6])
def test_centers(top_k: int | None, levels: int) -> None:
    generator = np.random.default_rng(0)
    heatmap = (generator.integers(0, levels, (90, 70)) / levels).astype(np.float32)
    heatmap[3, 3:60:7] = math.nan
    options: dict[str, Any] = {"threshold": 0.3, "nms_kernel": 5, "top_k": top_k}
    expected = find_instance_centers(torch.from_numpy(heatmap), **options)
    got = find_instance_centers_on_cpu(heatmap, **options)
    assert got.dtype == np.int64
    np.testing.assert_array_equal(got, expected.numpy())


def pixels_of(runs: Runs, width: int) -> np.ndarray:
    """Return the pairs of a band of rows, pixel by pixel."""
    rows = []
    for first, end in pairwise(runs.starts):
        lengths = np.diff(runs.ends[first:end], prepend=0)
        assert (lengths > 0).all()
        rows.append(np.repeat(runs.pairs[first:end], lengths))
        assert len(rows[-1]) == width
    return np.stack(rows)


@pytest.mark.parametrize("count", [1, 2, 30, 199, 3000])
@pytest.mark.parametrize("reach", [3.0, 40.0, 3000.0])
def test_nearest_centres(count: int, reach: float) -> None:
    generator = np.random.default_rng(count)
    height, width = 130, 170
    points = generator.integers(0, (height, width), (count, 2))
    # Twins, as of peaks between two pixels.
    points = np.unique(np.concatenate([points, points[1::3] + (0, 1)]), axis=0)
    offset = generator.normal(0, reach, (2, height, width)).astype(np.float32)
    offset[:, 5, 5] = math.nan
    offset[:, 5, 6] = math.inf
    offset[0, 5, 7] = -math.inf
    offset[1, 5, 8] = 1e30
    semantic = generator.integers(0, 3, (height, width)).astype(np.uint8)
    is_thing = np.array([True, False, True])
    runs, votes = group_pixels_on_cpu(
        points,
        offset,
        taps(height, height),
        taps(width, width),
        semantic,
        is_thing,
        row_bands(height),
    )
    expected = group_pixels(
        torch.from_numpy(points), torch.from_numpy(offset), torch.from_numpy(is_thing[semantic])
    )
    got, labels = np.divmod(np.concatenate([pixels_of(band, width) for band in runs]), 3)
    np.testing.assert_array_equal(got, expected.numpy())
    np.testing.assert_array_equal(labels, semantic)
    pairs = np.zeros((len(points) + 1, 3), np.int64)
    np.add.at(pairs, (got.ravel(), semantic.ravel()), 1)
    np.testing.assert_array_equal(votes.sum(axis=0), pairs)


@pytest.mark.parametrize("axis", [0, 1])
def test_nearest_centres_of_a_point_at_the_end_of_the_cells(axis: int) -> None:
    # With the cells' margin of 128 added, float32 rounds the last number below 512 up to 640.
    side, end = 384, np.nextafter(np.float32(512), np.float32(0))
    assert end + np.float32(128) == np.float32(640)
    points = np.full((3, 2), 100)
    points[:, axis] = 5, 200, 380
    offset = np.zeros((2, side, side), np.float32)
    offset[(axis, 0, 100) if axis == 0 else (axis, 100, 0)] = end
    is_thing = torch.ones(side, side, dtype=torch.bool)
    grid = taps(side, side)
    labels = np.zeros((side, side), np.uint8)
    runs, _ = group_pixels_on_cpu(
        points, offset, grid, grid, labels, np.array([True]), row_bands(side)
    )
    expected = group_pixels(torch.from_numpy(points), torch.from_numpy(offset), is_thing)
    got = np.concatenate([pixels_of(band, side) for band in runs])
    np.testing.assert_array_equal(got, expected.numpy())


@pytest.mark.parametrize("thickness", [0, 1, 2, 3, 5])
def test_tint_and_lines(thickness: int) -> None:
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (70, 50, 3), np.uint8)
    id_map = np.kron(generator.integers(0, 4, (5, 5)), np.ones((14, 10))).astype(np.uint16)
    id_map[30, 20] = 3
    keep = np.array([256, 0, 100, 128], np.uint16)
    colors = (generator.integers(0, 256, (4, 3)) * (256 - keep)[:, None]).astype(np.uint16)
    expected = (image * keep[id_map][..., None].astype(np.int64) + colors[id_map]) >> 8
    edge = np.zeros(id_map.shape, np.uint8)
    edge[:, 1:] |= id_map[:, 1:] != id_map[:, :-1]
    edge[1:] |= id_map[1:] != id_map[:-1]
    if thickness:
        window = np.ones((thickness, thickness), np.uint8)
        # OpenCV looks at a window mirrored about its middle: for even sizes, up and to the left.
        expected[cv2.dilate(edge, window) > 0] = 255
    before = image.copy()
    drawn = tint.tint_pixels(image, id_map, colors, keep, thickness)
    np.testing.assert_array_equal(drawn, expected)
    np.testing.assert_array_equal(image, before)


def test_kernels_compile_once() -> None:
    # A second compilation, for another type or memory layout, would cost a frame seconds.
    for size, count in (((64, 64), 0), ((64, 128), 1), ((200, 133), 5)):
        interpret_on_cpu(street_scene(*size, centers=count), *size, **plain_options())
    kernels = [
        function
        for module in (bilinear, cells, centers, grouping, semantics, statistics, tint)
        for function in vars(module).values()
        if hasattr(function, "signatures")
    ]
    assert len(kernels) > 10
    for function in kernels:
        # None where the cached code of its caller holds it already.
        assert len(function.signatures) <= 1, function


def test_without_a_place_for_the_cache(caplog: pytest.LogCaptureFixture) -> None:
    names: dict[str, Any] = {}
    # Code without a file has no place for a cache either.
    exec("def double(x):\n    return 2 * x", names)
    assert kernel(names["double"])(21) == 42
    assert "NUMBA_CACHE_DIR" in caplog.text


def test_bands_cover_all_rows() -> None:
    for height in (1, 31, 32, 33, 64, 1023):
        rows = [row for first, end in row_bands(height) for row in range(first, end)]
        assert rows == list(range(height))
    torch.set_num_threads(1)
    assert row_bands(1000) == [(0, 1000)]
    assert compiled.run_in_bands([(0, 2), (2, 3)], lambda first, end: end - first) == [2, 1]
