# SPDX-License-Identifier: Apache-2.0
"""Bilinear resize that gives torch's numbers (``align_corners=False``).

They agree to the last bit, but for a few outputs of less than some hundred pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from depthlab_core.cpu.compiled import fma, kernel, row_bands, run_in_bands


class Taps(NamedTuple):
    """Which two source pixels each target pixel of one axis lies between.

    Attributes:
        near: int64 ``(N,)``, index of the source pixel before.
        far: int64 ``(N,)``, index of the one after; at the border the same one.
        weight: float32 ``(N,)``, weight of ``far``, 0 to 1; that of ``near`` is the rest.
    """

    near: npt.NDArray[np.int64]
    far: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float32]


def taps(source: int, target: int) -> Taps:
    """Return the taps that resize an axis of ``source`` pixels to ``target`` pixels."""
    if source == target:
        same = np.arange(source)
        return Taps(same, same, np.zeros(source, np.float32))
    scale = np.float64(np.float32(source) / np.float32(target))
    # In float64 and then rounded: as with a fused multiply-add in float32.
    position = (scale * (np.arange(target) + 0.5) - 0.5).astype(np.float32).clip(min=0)
    near = np.minimum(np.floor(position).astype(np.int64), source - 1)
    weight = (position - near.astype(np.float32)).clip(0, 1).astype(np.float32)
    return Taps(near, np.minimum(near + 1, source - 1), weight)


def resize_plane(
    plane: npt.NDArray[np.float32], rows: Taps, columns: Taps, *, factor: float = 1.0
) -> npt.NDArray[np.float32]:
    """Resize one plane.

    Args:
        plane: float32 ``(h, w)``, C-contiguous.
        rows: Taps of the rows, ``h`` to ``H``.
        columns: Taps of the columns, ``w`` to ``W``.
        factor: Every value is multiplied by it.

    Returns:
        float32 ``(H, W)``.
    """
    height = len(rows.weight)
    out = np.empty((height, len(columns.weight)), np.float32)
    scale = np.float32(factor)
    run_in_bands(
        row_bands(height),
        lambda first, end: _resize_rows(plane, rows, columns, scale, first, end, out),
    )
    return out


@kernel
def _resize_rows(
    plane: npt.NDArray[np.float32],
    rows: Taps,
    columns: Taps,
    factor: np.float32,
    first: int,
    end: int,
    out: npt.NDArray[np.float32],
) -> None:
    upper = np.empty(out.shape[1], np.float32)
    lower = np.empty(out.shape[1], np.float32)
    upper_row = -1
    lower_row = -1
    for y in range(first, end):
        # Neighbouring rows share their sources, which are therefore widened once.
        if rows.near[y] != upper_row:
            upper_row = rows.near[y]
            _widen(plane[upper_row], columns, upper)
        if rows.far[y] != lower_row:
            lower_row = rows.far[y]
            _widen(plane[lower_row], columns, lower)
        _blend(upper, lower, rows.weight[y], factor, out[y])


@kernel
def _widen(source: npt.NDArray[np.float32], columns: Taps, out: npt.NDArray[np.float32]) -> None:
    one = np.float32(1)
    for x in range(len(out)):
        weight = columns.weight[x]
        out[x] = fma(source[columns.near[x]], one - weight, source[columns.far[x]] * weight)


@kernel
def _blend(
    upper: npt.NDArray[np.float32],
    lower: npt.NDArray[np.float32],
    weight: np.float32,
    factor: np.float32,
    out: npt.NDArray[np.float32],
) -> None:
    rest = np.float32(1) - weight
    for x in range(len(out)):
        out[x] = fma(upper[x], rest, lower[x] * weight) * factor
