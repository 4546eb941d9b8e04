# SPDX-License-Identifier: Apache-2.0
"""Exact nearest centres of thing pixels, from a short list of candidates for each cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthlab_core.cpu.bilinear import Taps
from depthlab_core.cpu.compiled import fma, kernel, run_in_bands

_CELL = 32
"""Pixels along a cell's side."""
_MARGIN = 128
"""Pixels that the cells reach beyond the image, where offsets may point to."""
_SLACK = 1.0
"""Pixels of distance that a candidate may be further; covers what float32 rounds off."""


class Cells(NamedTuple):
    """For each square of the image, the centres that can be nearest to a point in it.

    Attributes:
        starts: int64 ``(rows * columns + 1,)``; a cell's candidates are ``starts[i]`` to
            ``starts[i + 1]``.
        candidates: int32, indices of centres, ascending within a cell.
        columns: Cells in a row.
        height, width: Of the image.
    """

    starts: npt.NDArray[np.int64]
    candidates: npt.NDArray[np.int32]
    columns: int
    height: int
    width: int


def group_pixels_on_cpu(
    centers: npt.NDArray[np.int64],
    offset: npt.NDArray[np.float32],
    rows: Taps,
    columns: Taps,
    semantic_map: npt.NDArray[np.uint8],
    is_thing: npt.NDArray[np.bool_],
    bands: Sequence[tuple[int, int]],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
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
        int32 ``(H, W)``, 1 + the index of the nearest centre on things, 0 elsewhere; and int64
        ``(bands, K + 1, C)``, the pixels of each band by instance and label.
    """
    height, width = semantic_map.shape
    factor = (
        np.float32(height / offset.shape[1]),
        np.float32(width / offset.shape[2]),
    )
    points = centers.astype(np.float32)
    cells = _cells(points, height, width)
    instance_map = np.empty((height, width), np.int32)

    def group(first: int, end: int) -> npt.NDArray[np.int64]:
        return _group_rows(
            points,
            cells,
            offset,
            factor,
            rows,
            columns,
            semantic_map,
            is_thing,
            first,
            end,
            instance_map,
        )

    return instance_map, np.stack(run_in_bands(bands, group))


def _cells(points: npt.NDArray[np.float32], height: int, width: int) -> Cells:
    cell_rows = -(-(height + 2 * _MARGIN) // _CELL)
    cell_columns = -(-(width + 2 * _MARGIN) // _CELL)
    # A point's nearest centre is no further from the middle of the point's cell than the centre
    # nearest to the middle, plus twice the way from the middle to a corner.
    reach = _CELL * math.sqrt(2) + _SLACK
    starts, candidates = _list_candidates(points, cell_rows, cell_columns, np.float32(reach))
    return Cells(starts, candidates, cell_columns, height, width)


@kernel
def _list_candidates(
    points: npt.NDArray[np.float32], cell_rows: int, cell_columns: int, reach: np.float32
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    count = len(points)
    starts = np.zeros(cell_rows * cell_columns + 1, np.int64)
    candidates = np.empty(4 * len(starts), np.int32)
    squared = np.empty(count, np.float32)
    used = 0
    for row in range(cell_rows):
        y = np.float32(row * _CELL + _CELL // 2 - _MARGIN)
        for column in range(cell_columns):
            x = np.float32(column * _CELL + _CELL // 2 - _MARGIN)
            smallest = np.float32(np.inf)
            for k in range(count):
                dy, dx = y - points[k, 0], x - points[k, 1]
                squared[k] = dy * dy + dx * dx
                smallest = min(smallest, squared[k])
            bound = (np.sqrt(smallest) + reach) ** np.float32(2)
            if used + count > len(candidates):
                larger = np.empty(2 * len(candidates) + count, np.int32)
                for index in range(used):
                    larger[index] = candidates[index]
                candidates = larger
            for k in range(count):
                if squared[k] <= bound:
                    candidates[used] = k
                    used += 1
            starts[row * cell_columns + column + 1] = used
    return starts, candidates


@kernel
def _group_rows(
    points: npt.NDArray[np.float32],
    cells: Cells,
    offset: npt.NDArray[np.float32],
    factor: tuple[np.float32, np.float32],
    rows: Taps,
    columns: Taps,
    semantic_map: npt.NDArray[np.uint8],
    is_thing: npt.NDArray[np.bool_],
    first: int,
    end: int,
    instance_map: npt.NDArray[np.int32],
) -> npt.NDArray[np.int64]:
    width = semantic_map.shape[1]
    votes = np.zeros((len(points) + 1, len(is_thing)), np.int64)
    upper = np.empty((2, width), np.float32)
    lower = np.empty((2, width), np.float32)
    target = np.empty((2, width), np.float32)
    upper_row = -1
    lower_row = -1
    for y in range(first, end):
        things = 0
        for x in range(width):
            things += is_thing[semantic_map[y, x]]
        if things > 0 and len(points) > 0:
            # Neighbouring rows share their sources, which are therefore widened once.
            if rows.near[y] != upper_row:
                upper_row = rows.near[y]
                _widen(offset, upper_row, columns, upper)
            if rows.far[y] != lower_row:
                lower_row = rows.far[y]
                _widen(offset, lower_row, columns, lower)
            _point(upper, lower, rows.weight[y], factor, y, target)
            _find_nearest(points, cells, target, semantic_map[y], is_thing, instance_map[y])
        else:
            for x in range(width):
                instance_map[y, x] = 0
        _count(semantic_map[y], instance_map[y], votes)
    return votes


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
def _find_nearest(
    points: npt.NDArray[np.float32],
    cells: Cells,
    target: npt.NDArray[np.float32],
    labels: npt.NDArray[np.uint8],
    is_thing: npt.NDArray[np.bool_],
    instances: npt.NDArray[np.int32],
) -> None:
    """Write 1 + the index of the centre nearest to each target, the first of equally near ones."""
    starts, candidates, cell_columns = cells.starts, cells.candidates, cells.columns
    margin = np.float32(_MARGIN)
    bottom, right = cells.height + margin, cells.width + margin
    for column in range(len(labels)):
        if not is_thing[labels[column]]:
            instances[column] = 0
            continue
        y, x = target[0, column], target[1, column]
        best = 0
        smallest = np.float32(np.inf)
        if -margin <= y < bottom and -margin <= x < right:
            cell = int(y + margin) // _CELL * cell_columns + int(x + margin) // _CELL
            for index in range(starts[cell], starts[cell + 1]):
                k = candidates[index]
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
        instances[column] = best + 1


@kernel
def _count(
    labels: npt.NDArray[np.uint8],
    instances: npt.NDArray[np.int32],
    votes: npt.NDArray[np.int64],
) -> None:
    # By runs: increments of one number would wait for one another.
    start = 0
    for x in range(1, len(labels)):
        if labels[x] != labels[start] or instances[x] != instances[start]:
            votes[instances[start], labels[start]] += x - start
            start = x
    votes[instances[start], labels[start]] += len(labels) - start
