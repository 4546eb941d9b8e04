# SPDX-License-Identifier: Apache-2.0
"""How much memory this process holds, and that it keeps it."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import torch

_STATM = Path("/proc/self/statm")
_MIB = 2**20
# From malloc.h; 32 MiB is the most that glibc allows for the second.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_TRIM_THRESHOLD, _MMAP_THRESHOLD = 512 * _MIB, 32 * _MIB


def keep_freed_memory() -> None:
    """Let blocks the size of an image be used again, where the C library is glibc.

    It would hand each back to the system as soon as it is freed, and the next frame would wait for
    every page of it anew: a third of the node's own time at 1920 x 1080.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD)


def process_mib() -> float | None:
    """Return the resident memory in MiB; ``None`` where the system does not tell (not Linux)."""
    try:
        pages = int(_STATM.read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


def device_mib(device: object) -> float | None:
    """Return what PyTorch holds on a GPU in MiB; ``None`` for other devices."""
    if isinstance(device, torch.device) and device.type == "cuda":
        return torch.cuda.memory_allocated(device) / _MIB
    return None
