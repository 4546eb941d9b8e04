# SPDX-License-Identifier: Apache-2.0
"""Area, box, centroid, score and exact depth statistics of all segments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthlab_core.cpu.compiled import kernel, reducing_kernel, run_in_bands, sum_of
from depthlab_core.cpu.grouping import Runs

_QUANTILES = (0.05, 0.5, 0.95)
_BINS = 2048
"""Into which a segment's depths are counted before the few that matter are put in order."""


class Lookup(NamedTuple):
    """What becomes of a pixel, by its instance and its semantic label; all ``(K + 1, C)``.

    Attributes:
        panoptic: int32, panoptic label.
        segment: uint16, ``Segment.id``; 0 is void.
        has_depth: bool, False where a distance means nothing.
    """

    panoptic: npt.NDArray[np.int32]
    segment: npt.NDArray[np.uint16]
    has_depth: npt.NDArray[np.bool_]


class Statistics(NamedTuple):
    """One row for each of the ``N`` segments.

    Attributes:
        box: int64 ``(N, 4)``: first column and row, last column and row.
        sums: float64 ``(N, 2)``: of columns and rows.
        depth: float64 ``(N, 5)``: mean, standard deviation, 0.05, 0.5 and 0.95 quantile, metres;
            NaN where there are no values.
        valid: int64 ``(N,)``, pixels that have a depth.
    """

    box: npt.NDArray[np.int64]
    sums: npt.NDArray[np.float64]
    depth: npt.NDArray[np.float64]
    valid: npt.NDArray[np.int64]


def describe_segments(
    bands: Sequence[tuple[int, int]],
    runs: Sequence[Runs],
    depth: npt.NDArray[np.float32],
    lookup: Lookup,
    areas: npt.NDArray[np.int64],
    panoptic_map: npt.NDArray[np.int32],
    id_map: npt.NDArray[np.uint16],
) -> Statistics:
    """Write the two maps and measure every segment.

    Args:
        bands: From ``row_bands``.
        runs: The pixels of each band.
        depth: float32 ``(H, W)``, metres; becomes NaN where ``lookup`` denies depth. Values that
            are not finite count as unknown.
        lookup: What the pairs of instance and label mean.
        areas: int64 ``(bands, N)``, pixels of each segment in each band.
        panoptic_map: int32 ``(H, W)``, written.
        id_map: uint16 ``(H, W)``, written.
    """
    # A segment's depths come to lie together; each band has its own room among them.
    ends = np.cumsum(areas.T.ravel()).reshape(areas.shape[::-1]).T
    starts = np.ascontiguousarray(ends - areas)
    values = np.empty(int(areas.sum()), np.float32)
    index_of = {band: index for index, band in enumerate(bands)}
    flat = Lookup(lookup.panoptic.ravel(), lookup.segment.ravel(), lookup.has_depth.ravel())

    def describe(
        first: int, end: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        band = index_of[first, end]
        return _describe_rows(
            runs[band], depth, flat, starts[band], first, panoptic_map, id_map, values
        )

    boxes, sums, stops = (
        np.stack(part) for part in zip(*run_in_bands(bands, describe), strict=True)
    )
    box = np.concatenate([boxes[..., :2].min(axis=0), boxes[..., 2:].max(axis=0)], axis=1)
    valid = (stops - starts).sum(axis=0)
    statistics = np.full((areas.shape[1], 5), np.nan)
    run_in_bands(
        _even_shares(valid, len(bands)),
        lambda first, end: _depth_statistics(values, starts, stops, first, end, statistics),
    )
    return Statistics(box, sums.sum(axis=0), statistics, valid)


def _even_shares(weights: npt.NDArray[np.int64], count: int) -> list[tuple[int, int]]:
    """Cut a row of segments into ``count`` ranges of about the same weight."""
    total = np.cumsum(weights)
    cuts = np.searchsorted(total, [weights.sum() * i / count for i in range(1, count)])
    edges = [0, *cuts.tolist(), len(weights)]
    return list(pairwise(edges))


@kernel
def _describe_rows(
    runs: Runs,
    depth: npt.NDArray[np.float32],
    lookup: Lookup,
    starts: npt.NDArray[np.int64],
    first: int,
    panoptic_map: npt.NDArray[np.int32],
    id_map: npt.NDArray[np.uint16],
    values: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    height, width = depth.shape
    box = np.empty((len(starts), 4), np.int64)
    for row in range(len(starts)):
        box[row, 0], box[row, 1], box[row, 2], box[row, 3] = width, height, -1, -1
    sums = np.zeros((len(starts), 2), np.float64)
    stops = starts.copy()
    for row in range(len(runs.starts) - 1):
        y = first + row
        start = 0
        for run in range(runs.starts[row], runs.starts[row + 1]):
            end, pair = runs.ends[run], runs.pairs[run]
            panoptic_map[y, start:end] = lookup.panoptic[pair]
            id_map[y, start:end] = lookup.segment[pair]
            if not lookup.has_depth[pair]:
                depth[y, start:end] = np.nan
            if lookup.segment[pair] > 0:
                index = np.int64(lookup.segment[pair]) - 1
                box[index, 0] = min(box[index, 0], start)
                box[index, 1] = min(box[index, 1], y)
                box[index, 2] = max(box[index, 2], end - 1)
                box[index, 3] = y
                sums[index, 0] += 0.5 * (start + end - 1) * (end - start)
                sums[index, 1] += float(y) * (end - start)
                if lookup.has_depth[pair]:
                    stops[index] += _keep_finite(depth[y, start:end], values[stops[index] :])
            start = end
    return box, sums, stops


@kernel
def _keep_finite(source: npt.NDArray[np.float32], out: npt.NDArray[np.float32]) -> int:
    """Copy the finite values, and return how many there are."""
    finite = 0
    for index in range(len(source)):
        # Copied first and counted by the way, which runs on vectors: mostly, all are finite.
        out[index] = source[index]
        finite += np.isfinite(source[index])
    if finite < len(source):
        finite = 0
        for value in source:
            if np.isfinite(value):
                out[finite] = value
                finite += 1
    return finite


@kernel
def _depth_statistics(
    values: npt.NDArray[np.float32],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    first: int,
    end: int,
    out: npt.NDArray[np.float64],
) -> None:
    for segment in range(first, end):
        start = stop = starts[0, segment]
        for band in range(len(starts)):
            # Where values are missing, those of the next band move up.
            count = stops[band, segment] - starts[band, segment]
            if stop < starts[band, segment]:
                for index in range(count):
                    values[stop + index] = values[starts[band, segment] + index]
            stop += count
        if stop > start:
            own = values[start:stop]
            mean = sum_of(own) / len(own)
            out[segment, 0] = mean
            out[segment, 1] = np.sqrt(_sum_of_squares(own, mean) / len(own))
            _quantiles(own, out[segment, 2:])


@reducing_kernel
def _sum_of_squares(values: npt.NDArray[np.float32], mean: float) -> float:
    total = 0.0
    for index in range(len(values)):
        total += (values[index] - mean) ** 2
    return total


@kernel
def _quantiles(values: npt.NDArray[np.float32], out: npt.NDArray[np.float64]) -> None:
    """Write the exact 0.05, 0.5 and 0.95 quantiles, linear between values as in numpy.

    All values must be finite.
    """
    # Whole numbers in the order of the floats, whose bits are a sign and a magnitude; bins of them
    # are of even relative width.
    bits = values.view(np.int32)
    keys = np.empty(len(bits), np.int32)
    lowest = highest = bits[0] ^ (bits[0] >> 31 & 0x7FFFFFFF)
    for index in range(len(bits)):
        keys[index] = bits[index] ^ (bits[index] >> 31 & 0x7FFFFFFF)
        lowest, highest = min(lowest, keys[index]), max(highest, keys[index])
    shift = np.uint64(0)
    while np.uint64(highest - lowest) >> shift >= _BINS:
        shift += np.uint64(1)
    below = np.zeros(_BINS + 1, np.int64)
    for index in range(len(keys)):
        below[(np.uint64(keys[index] - lowest) >> shift) + np.uint64(1)] += 1
    # Only the values of the bins in which a quantile lies are kept; what is below is counted.
    last = len(values) - 1
    wanted = np.zeros(_BINS, np.bool_)
    skipped = np.zeros(_BINS, np.int64)
    size = 0
    for index in range(_BINS):
        count = below[index + 1]
        below[index + 1] += below[index]
        skipped[index] = below[index] - size
        for quantile in _QUANTILES:
            rank = int(quantile * last)
            if below[index] <= min(rank + 1, last) and rank < below[index + 1]:
                wanted[index] = True
        if wanted[index]:
            size += count
    # All are written and the wanted ones stay: which ones are, no branch predictor can guess.
    room = np.empty(size + 1, np.float32)
    used = 0
    for index in range(len(values)):
        room[used] = values[index]
        used += wanted[np.uint64(keys[index] - lowest) >> shift]
    kept = room[:size]
    done = np.int64(0)  # for a literal 0, numba would compile what it is passed to once more
    for position, quantile in enumerate(_QUANTILES):
        rank = int(quantile * last)
        place = rank - skipped[_bin_of(below, rank)]
        _select(kept, place, done)
        done = place
        near = far = float(kept[place])
        if rank < last:
            far = _smallest(kept[place + 1 :])
        out[position] = near + (far - near) * (quantile * last - rank)


@kernel
def _bin_of(below: npt.NDArray[np.int64], rank: int) -> int:
    low, high = 0, _BINS
    while high - low > 1:
        middle = (low + high) // 2
        if below[middle] <= rank:
            low = middle
        else:
            high = middle
    return low


@kernel
def _select(values: npt.NDArray[np.float32], place: int, first: int) -> None:
    """Reorder the values from ``first`` on as if sorted as far as ``place`` is concerned.

    Hoare's selection; numpy's takes numba seconds to compile.
    """
    last = len(values) - 1
    while first < last:
        pivot = values[(first + last) // 2]
        low, high = first, last
        while low <= high:
            while values[low] < pivot:
                low += 1
            while values[high] > pivot:
                high -= 1
            if low <= high:
                values[low], values[high] = values[high], values[low]
                low += 1
                high -= 1
        if place <= high:
            last = high
        elif place >= low:
            first = low
        else:
            return


@kernel
def _smallest(values: npt.NDArray[np.float32]) -> float:
    smallest = np.inf
    for index in range(len(values)):
        if values[index] < smallest:
            smallest = values[index]
    return smallest
