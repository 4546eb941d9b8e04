# SPDX-License-Identifier: Apache-2.0
"""Which centres can be nearest to a point, by where in the image it lies."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthlab_core.cpu.compiled import kernel

_SHIFT = 5
_CELL = 1 << _SHIFT
"""Pixels along a cell's side."""
_MARGIN = 128
"""Pixels that the cells reach beyond the image, where offsets may point to."""
_MOST_REALMS = 1024
"""Centres; among more, comparing all with all would cost more than realms save."""
_SLACK = 1.0
"""Pixels of distance that a candidate may be further; covers what float32 rounds off."""


class Cells(NamedTuple):
    """For each square of the image, the centres that can be nearest to a point in it.

    Attributes:
        starts: int64 ``(rows * columns + 1,)``; a cell's candidates are ``starts[i]`` to
            ``starts[i + 1]``.
        candidates: int32, indices of centres, ascending within a cell.
        columns: Cells in a row.
        shift: Binary logarithm of the pixels along a cell's side.
        margin: Pixels that the cells reach beyond the image.
        height, width: Of the image.
    """

    starts: npt.NDArray[np.int64]
    candidates: npt.NDArray[np.int32]
    columns: int
    shift: int
    margin: int
    height: int
    width: int


def cells_of(points: npt.NDArray[np.float32], height: int, width: int) -> Cells:
    """Divide an image among centres.

    Args:
        points: float32 ``(K, 2)``, (y, x).
        height: Of the image.
        width: Likewise.
    """
    cell_rows = -(-(height + 2 * _MARGIN) // _CELL)
    cell_columns = -(-(width + 2 * _MARGIN) // _CELL)
    # A point's nearest centre is no further from the middle of the point's cell than the centre
    # nearest to the middle, plus twice the way from the middle to a corner.
    reach = _CELL * math.sqrt(2) + _SLACK
    starts, candidates = _list_candidates(points, cell_rows, cell_columns, np.float32(reach))
    return Cells(starts, candidates, cell_columns, _SHIFT, _MARGIN, height, width)


class Realms(NamedTuple):
    """Around each centre, where it is certain which can be nearest; of ``K`` centres.

    Attributes:
        own: float32 ``(K,)``, squared distance within which no other centre is as near.
        shared: float32 ``(K,)``, squared distance within which none but it and its neighbour is
            nearest: centres come in twins where a heatmap's peak lies between two pixels.
        neighbour: int32 ``(K,)``, the centre next to each; itself if it is alone.
    """

    own: npt.NDArray[np.float32]
    shared: npt.NDArray[np.float32]
    neighbour: npt.NDArray[np.int32]


def realms_of(points: npt.NDArray[np.float32]) -> Realms:
    """Return the realms of centres; where there are very many, they are empty.

    Args:
        points: float32 ``(K, 2)``, (y, x), all different.
    """
    count = len(points)
    realms = Realms(
        np.zeros(count, np.float32), np.zeros(count, np.float32), np.zeros(count, np.int32)
    )
    if count <= _MOST_REALMS:
        _measure_realms(points, np.float32(_SLACK), realms)
    return realms


@kernel
def _measure_realms(points: npt.NDArray[np.float32], slack: np.float32, realms: Realms) -> None:
    for k in range(len(points)):
        nearest = second = np.float32(np.inf)
        neighbour = k
        for other in range(len(points)):
            dy, dx = points[k, 0] - points[other, 0], points[k, 1] - points[other, 1]
            squared = dy * dy + dx * dx
            if other != k and squared < nearest:
                nearest, second, neighbour = squared, nearest, other
            elif other != k and squared < second:
                second = squared
        # Half the way to a centre; the slack covers what float32 rounds off.
        realms.own[k] = max(np.sqrt(nearest) / 2 - slack, 0) ** 2
        realms.shared[k] = max(np.sqrt(second) / 2 - slack, 0) ** 2
        realms.neighbour[k] = neighbour


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
