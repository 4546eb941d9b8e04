# SPDX-License-Identifier: Apache-2.0
"""Colours laid over an image, by segment."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depthlab_core.cpu.compiled import kernel, row_bands, run_in_bands


def tint_pixels(
    canvas: npt.NDArray[np.uint8],
    id_map: npt.NDArray[np.uint16],
    tint: npt.NDArray[np.uint16],
    keep: npt.NDArray[np.uint16],
) -> None:
    """Mix each pixel with its segment's colour, in place.

    Args:
        canvas: uint8 ``(H, W, 3)``, C-contiguous.
        id_map: uint16 ``(H, W)``, C-contiguous.
        tint: uint16 ``(N + 1, 3)``, by id: colour times opacity, which is scaled to 256.
        keep: uint16 ``(N + 1,)``, by id: what of 256 stays of the pixel itself.
    """
    run_in_bands(
        row_bands(len(canvas)),
        lambda first, end: _tint_rows(canvas, id_map, tint, keep, first, end),
    )


@kernel
def _tint_rows(
    canvas: npt.NDArray[np.uint8],
    id_map: npt.NDArray[np.uint16],
    tint: npt.NDArray[np.uint16],
    keep: npt.NDArray[np.uint16],
    first: int,
    end: int,
) -> None:
    for y in range(first, end):
        for x in range(canvas.shape[1]):
            segment = id_map[y, x]
            kept = np.uint32(keep[segment])
            for channel in range(3):
                mixed = np.uint32(canvas[y, x, channel]) * kept + tint[segment, channel]
                canvas[y, x, channel] = mixed >> np.uint32(8)


def compile_tint() -> None:
    """Compile what ``tint_pixels`` runs, which the first image would wait for otherwise."""
    tint_pixels(
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((1, 1), np.uint16),
        np.zeros((1, 3), np.uint16),
        np.zeros(1, np.uint16),
    )
