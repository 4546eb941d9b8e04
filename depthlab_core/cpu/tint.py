# SPDX-License-Identifier: Apache-2.0
"""Colours laid over an image, by segment, and lines between segments."""

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


def outline_pixels(
    canvas: npt.NDArray[np.uint8], id_map: npt.NDArray[np.uint16], thickness: int
) -> None:
    """Draw white lines where an id differs from the one to its left or above, in place.

    Args:
        canvas: uint8 ``(H, W, 3)``, C-contiguous.
        id_map: uint16 ``(H, W)``, C-contiguous.
        thickness: Of the lines, in pixels.
    """
    # Lines may reach into another band's rows; there, too, nothing but white is written.
    run_in_bands(
        row_bands(len(canvas)),
        lambda first, end: _outline_rows(canvas, id_map, thickness, first, end),
    )


@kernel
def _outline_rows(
    canvas: npt.NDArray[np.uint8],
    id_map: npt.NDArray[np.uint16],
    thickness: int,
    first: int,
    end: int,
) -> None:
    width = id_map.shape[1]
    after = thickness // 2
    before = thickness - 1 - after
    for y in range(first, end):
        above = max(y - 1, 0)
        for x in range(width):
            segment = id_map[y, x]
            if segment == id_map[above, x] and segment == id_map[y, max(x - 1, 0)]:
                continue
            canvas[max(y - before, 0) : y + after + 1, max(x - before, 0) : x + after + 1] = 255


def compile_tint() -> None:
    """Compile what runs here, which the first image would wait for otherwise."""
    canvas, id_map = np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint16)
    tint_pixels(canvas, id_map, np.zeros((1, 3), np.uint16), np.zeros(1, np.uint16))
    outline_pixels(canvas, id_map, 1)
