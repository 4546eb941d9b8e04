# SPDX-License-Identifier: Apache-2.0
"""Instance centres: the local maxima of the centre heatmap."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from depthlab_core.cpu.compiled import kernel, row_bands, run_in_bands


def find_instance_centers_on_cpu(
    center_heatmap: npt.NDArray[np.float32],
    *,
    threshold: float,
    nms_kernel: int,
    top_k: int | None,
) -> npt.NDArray[np.int64]:
    """Do what ``postprocess.find_instance_centers`` does, on a C-contiguous float32 array."""
    reach = nms_kernel // 2
    lowest = np.float32(max(threshold, 0))
    found = np.concatenate(
        run_in_bands(
            row_bands(len(center_heatmap)),
            lambda first, end: _peaks(center_heatmap, lowest, reach, first, end),
        )
    )
    if top_k is not None and top_k <= min(center_heatmap.size, len(found)):
        values = center_heatmap.ravel()[found]
        found = found[values > np.partition(values, len(values) - top_k)[-top_k]]
    return np.ascontiguousarray(np.stack(np.divmod(found, center_heatmap.shape[1]), axis=1))


@kernel
def _peaks(
    heatmap: npt.NDArray[np.float32], lowest: np.float32, reach: int, first: int, end: int
) -> npt.NDArray[np.int64]:
    width = heatmap.shape[1]
    found = np.empty(2 * width, np.int64)
    count = 0
    for y in range(first, end):
        # This count runs on vectors; the search, which most rows are spared, does not.
        candidates = 0
        for x in range(width):
            candidates += heatmap[y, x] > lowest
        if candidates > 0:
            if count + width > len(found):
                larger = np.empty(2 * len(found), np.int64)
                for index in range(count):
                    larger[index] = found[index]
                found = larger
            count += _peaks_of_row(heatmap, lowest, reach, y, found[count:])
    return found[:count]


@kernel
def _peaks_of_row(
    heatmap: npt.NDArray[np.float32],
    lowest: np.float32,
    reach: int,
    y: int,
    out: npt.NDArray[np.int64],
) -> int:
    count = 0
    for x in range(heatmap.shape[1]):
        if heatmap[y, x] > lowest and _is_highest(heatmap, y, x, reach):
            out[count] = y * heatmap.shape[1] + x
            count += 1
    return count


@kernel
def _is_highest(heatmap: npt.NDArray[np.float32], y: int, x: int, reach: int) -> bool:
    height, width = heatmap.shape
    value = heatmap[y, x]
    for row in range(max(y - reach, 0), min(y + reach + 1, height)):
        for column in range(max(x - reach, 0), min(x + reach + 1, width)):
            # Not a number in the window makes no centre.
            if not heatmap[row, column] <= value:
                return False
    return True
