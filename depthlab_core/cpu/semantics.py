# SPDX-License-Identifier: Apache-2.0
"""Semantic labels and probabilities at full resolution, without the full-resolution logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from numba.core import types
from numba.extending import intrinsic

from depthlab_core.cpu.bilinear import Taps
from depthlab_core.cpu.compiled import (
    fma,
    kernel,
    reducing_kernel,
    row_bands,
    run_in_bands,
    sum_of,
)
from depthlab_core.cpu.grouping import Runs


def label_pixels(
    logits: npt.NDArray[np.float32], rows: Taps, columns: Taps
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Label every pixel with the class whose resized logit is the highest.

    Args:
        logits: float32 ``(C, h, w)``, C-contiguous.
        rows: Taps of the rows, ``h`` to ``H``.
        columns: Taps of the columns, ``w`` to ``W``.

    Returns:
        The labels, uint8 ``(H, W)``, the lowest of equally high ones; and their softmax
        probabilities, float32 ``(H, W)``.
    """
    height, width = len(rows.weight), len(columns.weight)
    labels = np.empty((height, width), np.uint8)
    probability = np.empty((height, width), np.float32)
    run_in_bands(
        row_bands(height),
        lambda first, end: _label_rows(logits, rows, columns, first, end, labels, probability),
    )
    return labels, probability


@kernel
def _label_rows(
    logits: npt.NDArray[np.float32],
    rows: Taps,
    columns: Taps,
    first: int,
    end: int,
    labels: npt.NDArray[np.uint8],
    probability: npt.NDArray[np.float32],
) -> None:
    shape = (logits.shape[0], labels.shape[1])
    upper = np.empty(shape, np.float32)
    lower = np.empty(shape, np.float32)
    blended = np.empty(shape, np.float32)
    best = np.empty(shape[1], np.float32)
    label = np.empty(shape[1], np.int32)
    upper_row = -1
    lower_row = -1
    for y in range(first, end):
        # Neighbouring rows share their sources, which are therefore widened once.
        if rows.near[y] != upper_row and rows.near[y] == lower_row:
            upper, lower = lower, upper
            upper_row, lower_row = lower_row, upper_row
        if rows.near[y] != upper_row:
            upper_row = rows.near[y]
            _widen(logits, upper_row, columns, upper)
        if rows.far[y] != lower_row:
            lower_row = rows.far[y]
            _widen(logits, lower_row, columns, lower)
        _blend_and_choose(upper, lower, rows.weight[y], blended, best, label)
        _softmax_of_best(blended, best, probability[y])
        for x in range(shape[1]):
            labels[y, x] = label[x]


@kernel
def _widen(
    logits: npt.NDArray[np.float32], y: int, columns: Taps, out: npt.NDArray[np.float32]
) -> None:
    one = np.float32(1)
    for c in range(len(out)):
        source = logits[c, y]
        target = out[c]
        for x in range(len(target)):
            weight = columns.weight[x]
            target[x] = fma(source[columns.near[x]], one - weight, source[columns.far[x]] * weight)


@kernel
def _blend_and_choose(
    upper: npt.NDArray[np.float32],
    lower: npt.NDArray[np.float32],
    weight: np.float32,
    blended: npt.NDArray[np.float32],
    best: npt.NDArray[np.float32],
    label: npt.NDArray[np.int32],
) -> None:
    rest = np.float32(1) - weight
    for x in range(len(best)):
        best[x] = -np.inf
        label[x] = 0
    for c in range(len(blended)):
        a, b, logit = upper[c], lower[c], blended[c]
        for x in range(len(logit)):
            logit[x] = fma(a[x], rest, b[x] * weight)
        for x in range(len(logit)):
            value, highest = logit[x], best[x]
            # Selections instead of branches, so that the loop runs on vectors.
            label[x] = c if value > highest else label[x]
            best[x] = value if value > highest else highest


@kernel
def _softmax_of_best(
    logits: npt.NDArray[np.float32],
    best: npt.NDArray[np.float32],
    probability: npt.NDArray[np.float32],
) -> None:
    for x in range(len(probability)):
        probability[x] = 0
    for c in range(len(logits)):
        logit = logits[c]
        for x in range(len(logit)):
            probability[x] += _exp(logit[x] - best[x])
    for x in range(len(probability)):
        probability[x] = np.float32(1) / probability[x]


def _reinterpreted(source: Any, target: Any) -> Any:
    def typed(_context: Any, _x: Any) -> Any:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], context.get_value_type(target))

        return target(source), generate

    return intrinsic(typed)


_bits = cast(Callable[[np.float32], np.int32], _reinterpreted(types.float32, types.int32))
_from_bits = cast(Callable[[np.int32], np.float32], _reinterpreted(types.int32, types.float32))


@kernel
def _exp(x: np.float32) -> np.float32:
    """Return ``exp(x)`` for ``x`` of 0 or less, to 2 units in the last place.

    Cephes' expf (Moshier): a call of the C library's would keep the loop off the vector units.
    """
    x = max(x, np.float32(-87))
    # The addition leaves the nearest whole number of log2(exp(x)) in the lowest bits.
    magic = np.float32(12582912)
    shifted = fma(x, np.float32(1.44269504), magic)
    whole = shifted - magic
    x = fma(whole, np.float32(-0.693359375), x)
    x = fma(whole, np.float32(2.12194440e-4), x)
    y = np.float32(1.9875691500e-4)
    y = fma(y, x, np.float32(1.3981999507e-3))
    y = fma(y, x, np.float32(8.3334519073e-3))
    y = fma(y, x, np.float32(4.1665795894e-2))
    y = fma(y, x, np.float32(1.6666665459e-1))
    y = fma(y, x, np.float32(5.0000001201e-1))
    y = fma(y * x, x, x) + np.float32(1)
    power = np.int32(np.int32(_bits(shifted) << np.int32(23)) + np.int32(0x3F800000))
    result: np.float32 = y * _from_bits(power)
    return result


def sum_probability(
    probability: npt.NDArray[np.float32],
    logits: npt.NDArray[np.float32],
    rows: Taps,
    columns: Taps,
    bands: Sequence[tuple[int, int]],
    runs: Sequence[Runs],
    categories: npt.NDArray[np.uint8],
    segments: npt.NDArray[np.uint16],
    count: int,
) -> npt.NDArray[np.float64]:
    """Sum up the probabilities that pixels have of their own panoptic category.

    Args:
        probability: float32 ``(H, W)``, of each pixel's label, from ``label_pixels``.
        logits: As ``label_pixels`` got them.
        rows: Likewise.
        columns: Likewise.
        bands: From ``row_bands``.
        runs: The pixels of each band.
        categories: uint8 ``(K + 1, C)``, the category of an instance's pixels by their label.
        segments: uint16 ``(K + 1, C)``, their ``Segment.id``; 0 is void.
        count: Number of segments.

    Returns:
        float64 ``(count,)``.
    """
    flat = categories.ravel(), segments.ravel()
    runs_of = dict(zip(bands, runs, strict=True))

    def total(first: int, end: int) -> npt.NDArray[np.float64]:
        return _sum_rows(
            probability, logits, rows, columns, runs_of[first, end], *flat, first, count
        )

    sums: npt.NDArray[np.float64] = np.sum(run_in_bands(bands, total), axis=0)
    return sums


@kernel
def _sum_rows(
    probability: npt.NDArray[np.float32],
    logits: npt.NDArray[np.float32],
    rows: Taps,
    columns: Taps,
    runs: Runs,
    categories: npt.NDArray[np.uint8],
    segments: npt.NDArray[np.uint16],
    first: int,
    count: int,
) -> npt.NDArray[np.float64]:
    sums = np.zeros(count + 1)
    difference = np.empty(logits.shape[2], np.float32)
    for row in range(len(runs.starts) - 1):
        y = first + row
        start = np.int32(0)  # for a literal 0, numba would compile what it is passed to once more
        for run in range(runs.starts[row], runs.starts[row + 1]):
            end, pair = runs.ends[run], runs.pairs[run]
            label, category = pair % len(logits), categories[pair]
            if category == label:
                total = sum_of(probability[y, start:end])
            else:
                # Differences of logits, resized: to rows here, to columns there.
                for x in range(columns.near[start], columns.far[end - 1] + 1):
                    upper = logits[category, rows.near[y], x] - logits[label, rows.near[y], x]
                    lower = logits[category, rows.far[y], x] - logits[label, rows.far[y], x]
                    difference[x] = upper + (lower - upper) * rows.weight[y]
                total = _sum_moved(probability[y], difference, columns, start, end)
            sums[segments[pair]] += total
            start = end
    return sums[1:]


@reducing_kernel
def _sum_moved(
    probability: npt.NDArray[np.float32],
    difference: npt.NDArray[np.float32],
    columns: Taps,
    start: int,
    end: int,
) -> float:
    """Sum up probabilities of another category, whose logits differ from the highest ones."""
    total = 0.0
    for x in range(start, end):
        near, far = difference[columns.near[x]], difference[columns.far[x]]
        total += probability[x] * _exp(near + (far - near) * columns.weight[x])
    return total
