# SPDX-License-Identifier: Apache-2.0
"""Bytes of an image to the numbers that a network takes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depthlab_core.cpu.compiled import kernel, row_bands, run_in_bands


def normalise_pixels(
    image: npt.NDArray[np.uint8], table: npt.NDArray[np.float32], *, channels_last: bool
) -> npt.NDArray[np.float32]:
    """Replace every byte by what stands in its channel's table.

    Args:
        image: uint8 ``(H, W, 3)``, C-contiguous.
        table: float32 ``(256, 3)``.
        channels_last: Which layout is wanted.

    Returns:
        float32 ``(H, W, 3)``, or ``(3, H, W)`` without ``channels_last``; C-contiguous.
    """
    height, width = image.shape[:2]
    out = np.empty((height, width, 3) if channels_last else (3, height, width), np.float32)
    rows = _interleaved_rows if channels_last else _planar_rows
    run_in_bands(row_bands(height), lambda first, end: rows(image, table, first, end, out))
    return out


@kernel
def _interleaved_rows(
    image: npt.NDArray[np.uint8],
    table: npt.NDArray[np.float32],
    first: int,
    end: int,
    out: npt.NDArray[np.float32],
) -> None:
    for y in range(first, end):
        for x in range(image.shape[1]):
            for channel in range(3):
                out[y, x, channel] = table[image[y, x, channel], channel]


@kernel
def _planar_rows(
    image: npt.NDArray[np.uint8],
    table: npt.NDArray[np.float32],
    first: int,
    end: int,
    out: npt.NDArray[np.float32],
) -> None:
    for y in range(first, end):
        for x in range(image.shape[1]):
            for channel in range(3):
                out[channel, y, x] = table[image[y, x, channel], channel]


def compile_normalise() -> None:
    """Compile both layouts, which the first image would wait for otherwise."""
    for channels_last in (False, True):
        normalise_pixels(
            np.zeros((1, 1, 3), np.uint8),
            np.zeros((256, 3), np.float32),
            channels_last=channels_last,
        )
