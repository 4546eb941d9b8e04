# SPDX-License-Identifier: Apache-2.0
"""Colours laid over an image by segment, and lines between segments, in one pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depthlab_core.cpu.compiled import kernel, row_bands, run_in_bands


def tint_pixels(
    image: npt.NDArray[np.uint8],
    id_map: npt.NDArray[np.uint16],
    tint: npt.NDArray[np.uint16],
    keep: npt.NDArray[np.uint16],
    thickness: int,
) -> npt.NDArray[np.uint8]:
    """Mix each pixel with its segment's colour; where segments meet, draw white lines.

    Args:
        image: uint8 ``(H, W, 3)``, C-contiguous.
        id_map: uint16 ``(H, W)``, C-contiguous.
        tint: uint16 ``(N + 1, 3)``, by id: colour times opacity, which is scaled to 256.
        keep: uint16 ``(N + 1,)``, by id: what of 256 stays of the pixel itself.
        thickness: Of the lines, in pixels; 0 draws none.

    Returns:
        uint8 ``(H, W, 3)``.
    """
    canvas = np.empty_like(image)
    run_in_bands(
        row_bands(len(canvas)),
        lambda first, end: _tint_rows(image, canvas, id_map, tint, keep, thickness, first, end),
    )
    return canvas


@kernel
def _tint_rows(
    image: npt.NDArray[np.uint8],
    canvas: npt.NDArray[np.uint8],
    id_map: npt.NDArray[np.uint16],
    tint: npt.NDArray[np.uint16],
    keep: npt.NDArray[np.uint16],
    thickness: int,
    first: int,
    end: int,
) -> None:
    width = id_map.shape[1]
    # Lines of the last rows, one behind the other: a pixel is white with an edge in its window.
    edges = np.zeros((max(thickness, 1), width), np.uint8)
    behind = thickness // 2
    for y in range(first - behind, first - behind + thickness - 1):
        _mark_edges(id_map, y, edges[y % max(thickness, 1)])
    line = np.zeros(width, np.uint8)
    for y in range(first, end):
        line[:] = 0
        if thickness > 0:
            newest = y - behind + thickness - 1
            _mark_edges(id_map, newest, edges[newest % thickness])
            for row in range(thickness):
                for shift in range(-behind, thickness - behind):
                    for x in range(max(0, -shift), min(width, width - shift)):
                        line[x] |= edges[row, x + shift]
        for x in range(width):
            segment = id_map[y, x]
            kept = np.uint32(keep[segment])
            for channel in range(3):
                mixed = np.uint32(image[y, x, channel]) * kept + tint[segment, channel]
                canvas[y, x, channel] = np.uint8(mixed >> np.uint32(8)) | (line[x] * 255)


@kernel
def _mark_edges(id_map: npt.NDArray[np.uint16], y: int, edges: npt.NDArray[np.uint8]) -> None:
    """Mark the pixels of a row whose left or upper neighbour is another segment's."""
    edges[:] = 0
    if y < 0 or y >= len(id_map):
        return
    for x in range(1, id_map.shape[1]):
        edges[x] = id_map[y, x] != id_map[y, x - 1]
    if y > 0:
        for x in range(id_map.shape[1]):
            edges[x] |= id_map[y, x] != id_map[y - 1, x]


def compile_tint() -> None:
    """Compile what ``tint_pixels`` runs, which the first image would wait for otherwise."""
    tint_pixels(
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((1, 1), np.uint16),
        np.zeros((1, 3), np.uint16),
        np.zeros(1, np.uint16),
        1,
    )
