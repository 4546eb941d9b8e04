# SPDX-License-Identifier: Apache-2.0
"""Area, box, centroid, score and exact depth statistics of all segments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthlab_core.cpu.compiled import kernel, run_in_bands

_QUANTILES = (0.05, 0.5, 0.95)
_BINS = 2048
"""Into which a segment's depths are counted before the few that matter are sorted."""


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
        sums: float64 ``(N, 3)``: of columns, rows and probabilities.
        depth: float64 ``(N, 5)``: mean, standard deviation, 0.05, 0.5 and 0.95 quantile, metres;
            NaN where there are no values.
        valid: int64 ``(N,)``, pixels that have a depth.
    """

    box: npt.NDArray[np.int64]
    sums: npt.NDArray[np.float64]
    depth: npt.NDArray[np.float64]
    valid: npt.NDArray[np.int64]


def describe_segments(
    semantic_map: npt.NDArray[np.uint8],
    instance_map: npt.NDArray[np.int32],
    probability: npt.NDArray[np.float32],
    depth: npt.NDArray[np.float32],
    lookup: Lookup,
    bands: Sequence[tuple[int, int]],
    areas: npt.NDArray[np.int64],
    panoptic_map: npt.NDArray[np.int32],
    id_map: npt.NDArray[np.uint16],
) -> Statistics:
    """Write the two maps and measure every segment.

    Args:
        semantic_map: uint8 ``(H, W)``.
        instance_map: int32 ``(H, W)``.
        probability: float32 ``(H, W)``, of each pixel's own panoptic category.
        depth: float32 ``(H, W)``, metres; becomes NaN where ``lookup`` denies depth. Values that
            are not finite count as unknown.
        lookup: What the pairs of instance and label mean.
        bands: From ``row_bands``.
        areas: int64 ``(bands, N)``, pixels of each segment in each band.
        panoptic_map: int32 ``(H, W)``, written.
        id_map: uint16 ``(H, W)``, written.
    """
    # A segment's depths come to lie together; each band has its own room among them.
    ends = np.cumsum(areas.T.ravel()).reshape(areas.shape[::-1]).T
    starts = np.ascontiguousarray(ends - areas)
    values = np.empty(int(areas.sum()), np.float32)
    index_of = {band: index for index, band in enumerate(bands)}

    def describe(
        first: int, end: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        return _describe_rows(
            semantic_map,
            instance_map,
            probability,
            depth,
            lookup,
            starts[index_of[first, end]],
            first,
            end,
            panoptic_map,
            id_map,
            values,
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
    semantic_map: npt.NDArray[np.uint8],
    instance_map: npt.NDArray[np.int32],
    probability: npt.NDArray[np.float32],
    depth: npt.NDArray[np.float32],
    lookup: Lookup,
    starts: npt.NDArray[np.int64],
    first: int,
    end: int,
    panoptic_map: npt.NDArray[np.int32],
    id_map: npt.NDArray[np.uint16],
    values: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    height, width = semantic_map.shape
    box = np.empty((len(starts), 4), np.int64)
    for row in range(len(starts)):
        box[row, 0], box[row, 1], box[row, 2], box[row, 3] = width, height, -1, -1
    sums = np.zeros((len(starts), 3), np.float64)
    stops = starts.copy()
    for y in range(first, end):
        x = 0
        while x < width:
            # A run of pixels of one segment is summed in registers.
            label, instance, start = semantic_map[y, x], instance_map[y, x], x
            while x < width and semantic_map[y, x] == label and instance_map[y, x] == instance:
                x += 1
            panoptic = lookup.panoptic[instance, label]
            segment = lookup.segment[instance, label]
            for column in range(start, x):
                panoptic_map[y, column] = panoptic
                id_map[y, column] = segment
            if not lookup.has_depth[instance, label]:
                for column in range(start, x):
                    depth[y, column] = np.nan
            if segment > 0:
                row = segment - 1
                box[row, 0] = min(box[row, 0], start)
                box[row, 1] = min(box[row, 1], y)
                box[row, 2] = max(box[row, 2], x - 1)
                box[row, 3] = y
                sums[row, 0] += 0.5 * (start + x - 1) * (x - start)
                sums[row, 1] += float(y) * (x - start)
                total = 0.0
                stop = stops[row]
                for column in range(start, x):
                    total += probability[y, column]
                    metres = depth[y, column]
                    if np.isfinite(metres):
                        values[stop] = metres
                        stop += 1
                sums[row, 2] += total
                stops[row] = stop
    return box, sums, stops


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
        count = 0
        for band in range(len(starts)):
            count += stops[band, segment] - starts[band, segment]
        if count == 0:
            continue
        own = np.empty(count, np.float32)
        used = 0
        total = 0.0
        for band in range(len(starts)):
            for index in range(starts[band, segment], stops[band, segment]):
                own[used] = values[index]
                total += values[index]
                used += 1
        mean = total / count
        squares = 0.0
        for index in range(count):
            squares += (own[index] - mean) ** 2
        out[segment, 0] = mean
        out[segment, 1] = np.sqrt(squares / count)
        _quantiles(own, out[segment, 2:])


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
    # Only the values of the bins in which a quantile lies are sorted; what is below is counted.
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
    kept = np.empty(size, np.float32)
    used = 0
    for index in range(len(values)):
        if wanted[np.uint64(keys[index] - lowest) >> shift]:
            kept[used] = values[index]
            used += 1
    if highest > lowest:
        _sort(kept)
    for position, quantile in enumerate(_QUANTILES):
        rank = int(quantile * last)
        near = float(_ranked(kept, below, skipped, rank))
        far = float(_ranked(kept, below, skipped, min(rank + 1, last)))
        out[position] = near + (far - near) * (quantile * last - rank)


@kernel
def _ranked(
    kept: npt.NDArray[np.float32],
    below: npt.NDArray[np.int64],
    skipped: npt.NDArray[np.int64],
    rank: int,
) -> np.float32:
    low, high = 0, _BINS
    while high - low > 1:
        middle = (low + high) // 2
        if below[middle] <= rank:
            low = middle
        else:
            high = middle
    value: np.float32 = kept[rank - skipped[low]]
    return value


@kernel
def _sort(values: npt.NDArray[np.float32]) -> None:
    """Shellsort with Knuth's gaps: numpy's sort takes numba seconds to compile."""
    gap = 1
    while gap < len(values) // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for index in range(gap, len(values)):
            value = values[index]
            place = index
            while place >= gap and values[place - gap] > value:
                values[place] = values[place - gap]
                place -= gap
            values[place] = value
        gap //= 3
