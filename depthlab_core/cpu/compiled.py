# SPDX-License-Identifier: Apache-2.0
"""How kernels are compiled, and how rows of an image are shared among threads."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
import torch
from numba.core import types
from numba.extending import intrinsic

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Result = TypeVar("_Result")

_ROWS_AT_LEAST = 32
"""Rows in a band; below that, a thread's start costs more than it saves."""
_BANDS_PER_THREAD = 2
"""Sky is quicker than a crowd, so there are more bands than threads to even that out."""

_log = logging.getLogger(__name__)


def kernel(function: _Function) -> _Function:
    """Compile a function on its first call, without the GIL; later processes find it cached.

    The cache lies beside the source, or in the user's cache directory where that is read-only, or
    where ``NUMBA_CACHE_DIR`` says. Without any such place, each process compiles anew.
    """
    return _compiled(function)


def reducing_kernel(function: _Function) -> _Function:
    """Do as ``kernel``; sums in the function may be taken in any order, so on vector units."""
    return _compiled(function, fastmath={"reassoc"})


def _compiled(function: _Function, **options: Any) -> _Function:
    try:
        return cast(_Function, numba.njit(function, cache=True, nogil=True, **options))
    except RuntimeError as error:
        _log.warning("compiled code will not be cached; set NUMBA_CACHE_DIR (%s)", error)
        return cast(_Function, numba.njit(function, nogil=True, **options))


@reducing_kernel
def sum_of(values: npt.NDArray[np.float32]) -> float:
    """In kernels: return the sum in float64, by an index, which alone runs on vector units."""
    total = 0.0
    for index in range(len(values)):
        total += values[index]
    return total


def _fused_multiply_add(_context: Any, a: Any, b: Any, c: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float32(types.float32, types.float32, types.float32), generate


fma = cast(
    Callable[[np.float32, np.float32, np.float32], np.float32], intrinsic(_fused_multiply_add)
)
"""In kernels: ``a * b + c`` in float32, rounded once, as torch's own compiled code does."""


def row_bands(height: int) -> list[tuple[int, int]]:
    """Divide an image's rows among the threads that torch is set to use.

    Returns:
        First row and end row of each band, from the uppermost to the lowest.
    """
    threads = torch.get_num_threads()
    most = 1 if threads == 1 else threads * _BANDS_PER_THREAD
    count = max(min(most, height // _ROWS_AT_LEAST), 1)
    return list(pairwise(height * index // count for index in range(count + 1)))


def run_in_bands(
    bands: Sequence[tuple[int, int]], function: Callable[[int, int], _Result]
) -> list[_Result]:
    """Call ``function(first, end)`` for each band, at the same time.

    Args:
        bands: From ``row_bands``, or any other ranges.
        function: Should spend its time without the GIL.

    Returns:
        What ``function`` returned, in the order of the bands.
    """
    if len(bands) == 1:
        return [function(*bands[0])]
    pool = _pool(os.getpid(), torch.get_num_threads())
    return list(pool.map(function, *zip(*bands, strict=True)))


@cache
def _pool(_process: int, threads: int) -> ThreadPoolExecutor:
    # One for each process, because threads do not survive a fork.
    return ThreadPoolExecutor(threads, thread_name_prefix="depthlab")
