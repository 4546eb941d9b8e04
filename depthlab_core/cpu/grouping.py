# SPDX-License-Identifier: Apache-2.0
"""Exact nearest centres of thing pixels, as runs of pixels of one label and one instance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthlab_core.cpu.bilinear import Taps
from depthlab_core.cpu.cells import Cells, Realms, cells_of, realms_of
from depthlab_core.cpu.compiled import fma, kernel, run_in_bands


class Runs(NamedTuple):
    """A band of rows as runs of pixels alike, from left to right and from the top.

    Attributes:
        starts: int64 ``(rows + 1,)``; a row's runs are ``starts[i]`` to ``starts[i + 1]``.
        ends: int32 ``(R,)``, the column behind a run; the next one starts there.
        pairs: int32 ``(R,)``, ``instance * C + label``: instance 1 + the index of the nearest
            centre on things, 0 elsewhere; label of ``C``.
    """

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int32]
    pairs: npt.NDArray[np.int32]


class _Map(NamedTuple):
    """Centres, float32 ``(K, 2)``, and where each is the nearest."""

    points: npt.NDArray[np.float32]
    realms: Realms
    cells: Cells


def group_pixels_on_cpu(
    centers: npt.NDArray[np.int64],
    offset: npt.NDArray[np.float32],
    rows: Taps,
    columns: Taps,
    semantic_map: npt.NDArray[np.uint8],
    is_thing: npt.NDArray[np.bool_],
    bands: Sequence[tuple[int, int]],
) -> tuple[list[Runs], npt.NDArray[np.int64]]:
    """Do what ``postprocess.group_pixels`` does, and count labels by instance.

    Args:
        centers: int64 ``(K, 2)``, (y, x).
        offset: float32 ``(2, h, w)``, (dy, dx) in pixels of its own grid, C-contiguous.
        rows: Taps of the rows, ``h`` to ``H``.
        columns: Taps of the columns, ``w`` to ``W``.
        semantic_map: uint8 ``(H, W)``.
        is_thing: bool ``(C,)``, by category id.
        bands: From ``row_bands``.

    Returns:
        The pixels of each band; and int64 ``(bands, K + 1, C)``, how many there are by instance
        and label.
    """
    height, width = semantic_map.shape
    factor = (
        np.float32(height / offset.shape[1]),
        np.float32(width / offset.shape[2]),
    )
    points = centers.astype(np.float32)
    map_ = _Map(points, realms_of(points), cells_of(points, height, width))

    def group(first: int, end: int) -> tuple[Runs, npt.NDArray[np.int64]]:
        starts, ends, pairs, votes = _group_rows(
            map_, offset, factor, rows, columns, semantic_map, is_thing, first, end
        )
        return Runs(starts, ends, pairs), votes.reshape(len(points) + 1, len(is_thing))

    runs, votes = zip(*run_in_bands(bands, group), strict=True)
    return list(runs), np.stack(votes)


@kernel
def _group_rows(
    map_: _Map,
    offset: npt.NDArray[np.float32],
    factor: tuple[np.float32, np.float32],
    rows: Taps,
    columns: Taps,
    semantic_map: npt.NDArray[np.uint8],
    is_thing: npt.NDArray[np.bool_],
    first: int,
    end: int,
) -> tuple[
    npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]
]:
    width = semantic_map.shape[1]
    votes = np.zeros((len(map_.points) + 1) * len(is_thing), np.int64)
    starts = np.zeros(end - first + 1, np.int64)
    ends = np.empty(64 * (end - first) + width, np.int32)
    pairs = np.empty(len(ends), np.int32)
    used = np.int64(0)  # for a literal 0, numba would compile what it is passed to once more
    # A whole number of words, see _label_runs.
    changes = np.zeros((width + 7) // 8 * 8, np.uint8)
    label_ends = np.empty(width, np.int32)
    upper = np.empty((2, width), np.float32)
    lower = np.empty((2, width), np.float32)
    target = np.empty((2, width), np.float32)
    upper_row = -1
    lower_row = -1
    for y in range(first, end):
        labels = semantic_map[y]
        count = _label_runs(labels, changes, label_ends)
        things = 0
        for run in range(count):
            things += is_thing[labels[label_ends[run] - 1]]
        if used + width > len(ends):
            ends, pairs = _larger(ends, width), _larger(pairs, width)
        if things > 0 and len(map_.points) > 0:
            # Neighbouring rows share their sources, which are therefore widened once.
            if rows.near[y] == lower_row:
                upper, lower = lower, upper
                upper_row, lower_row = lower_row, upper_row
            if rows.near[y] != upper_row:
                upper_row = rows.near[y]
                _widen(offset, upper_row, columns, upper)
            if rows.far[y] != lower_row:
                lower_row = rows.far[y]
                _widen(offset, lower_row, columns, lower)
            _point(upper, lower, rows.weight[y], factor, y, target)
            used = _split_runs(
                map_, target, labels, is_thing, label_ends[:count], ends, pairs, used
            )
        else:
            for run in range(count):
                ends[used + run] = label_ends[run]
                pairs[used + run] = labels[label_ends[run] - 1]
            used += count
        starts[y - first + 1] = used
        start = 0
        for run in range(starts[y - first], used):
            votes[pairs[run]] += ends[run] - start
            start = ends[run]
    return starts, ends[:used], pairs[:used], votes


@kernel
def _label_runs(
    labels: npt.NDArray[np.uint8],
    changes: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int32],
) -> int:
    """Write where runs of one label end, and return how many there are.

    ``changes`` is written to: zeros, as many as labels or up to 7 more to a multiple of 8.
    """
    last = len(labels) - 1
    for x in range(last):
        changes[x] = labels[x] != labels[x + 1]
    changes[last] = 1
    count = 0
    # Most words are all zeros.
    words = changes.view(np.uint64)
    for index in range(len(words)):
        if words[index] != 0:
            for x in range(8 * index, 8 * index + 8):
                if changes[x] != 0:
                    ends[count] = x + 1
                    count += 1
    return count


@kernel
def _larger(values: npt.NDArray[np.int32], at_least: int) -> npt.NDArray[np.int32]:
    larger = np.empty(2 * len(values) + at_least, np.int32)
    larger[: len(values)] = values
    return larger


@kernel
def _widen(
    offset: npt.NDArray[np.float32], row: int, columns: Taps, out: npt.NDArray[np.float32]
) -> None:
    one = np.float32(1)
    for axis in range(2):
        source = offset[axis, row]
        for x in range(out.shape[1]):
            weight = columns.weight[x]
            out[axis, x] = fma(
                source[columns.near[x]], one - weight, source[columns.far[x]] * weight
            )


@kernel
def _point(
    upper: npt.NDArray[np.float32],
    lower: npt.NDArray[np.float32],
    weight: np.float32,
    factor: tuple[np.float32, np.float32],
    y: int,
    target: npt.NDArray[np.float32],
) -> None:
    """Write where the pixels of row ``y`` point to, (y, x)."""
    rest = np.float32(1) - weight
    for x in range(target.shape[1]):
        dy = fma(upper[0, x], rest, lower[0, x] * weight) * factor[0]
        dx = fma(upper[1, x], rest, lower[1, x] * weight) * factor[1]
        target[0, x] = np.float32(y) + dy
        target[1, x] = np.float32(x) + dx


@kernel
def _split_runs(
    map_: _Map,
    target: npt.NDArray[np.float32],
    labels: npt.NDArray[np.uint8],
    is_thing: npt.NDArray[np.bool_],
    label_ends: npt.NDArray[np.int32],
    ends: npt.NDArray[np.int32],
    pairs: npt.NDArray[np.int32],
    used: int,
) -> int:
    """Append a row's runs, those of things split by nearest centre; return how many there are."""
    classes = len(is_thing)
    nearest = np.int64(0)  # as above
    start = 0
    for label_end in label_ends:
        label = labels[start]
        pair = np.int32(label)
        if is_thing[label]:
            for x in range(start, label_end):
                # Most pixels point into the realm of their neighbour's centre.
                dy = target[0, x] - map_.points[nearest, 0]
                dx = target[1, x] - map_.points[nearest, 1]
                squared = dy * dy + dx * dx
                if not squared < map_.realms.own[nearest]:
                    found = _find_nearest(map_, target[0, x], target[1, x], nearest, squared)
                    if found != nearest and x > start:
                        ends[used] = x
                        pairs[used] = (nearest + 1) * classes + label
                        used += 1
                    nearest = found
            pair = np.int32((nearest + 1) * classes + label)
        ends[used] = label_end
        pairs[used] = pair
        used += 1
        start = label_end
    return used


@kernel
def _find_nearest(
    map_: _Map, y: np.float32, x: np.float32, guess: int, squared: np.float32
) -> int:
    """Return the index of the centre nearest to a point, the first of equally near ones.

    Args:
        map_: Centres.
        y: Of the point.
        x: Likewise.
        guess: Some centre.
        squared: Distance to it.
    """
    points, cells = map_.points, map_.cells
    if squared < map_.realms.shared[guess]:
        other = int(map_.realms.neighbour[guess])
        dy, dx = y - points[other, 0], x - points[other, 1]
        rival = dy * dy + dx * dx
        if rival < squared or (rival == squared and other < guess):
            return other
        return guess
    margin = np.float32(cells.margin)
    # The sums are compared, not the summands: one just below the end may be rounded up to it.
    cell_y, cell_x = y + margin, x + margin
    best = 0
    smallest = np.float32(np.inf)
    if (
        0 <= cell_y < cells.height + 2 * cells.margin
        and 0 <= cell_x < cells.width + 2 * cells.margin
    ):
        row, column = int(cell_y) >> cells.shift, int(cell_x) >> cells.shift
        cell = row * cells.columns + column
        for index in range(cells.starts[cell], cells.starts[cell + 1]):
            k = cells.candidates[index]
            dy, dx = y - points[k, 0], x - points[k, 1]
            squared = dy * dy + dx * dx
            if squared < smallest:
                smallest, best = squared, k
    else:
        for k in range(len(points)):
            dy, dx = y - points[k, 0], x - points[k, 1]
            squared = dy * dy + dx * dx
            if squared < smallest:
                smallest, best = squared, k
    return best
