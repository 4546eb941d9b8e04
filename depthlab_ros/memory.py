# SPDX-License-Identifier: Apache-2.0
"""How much memory a process holds."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import torch

_MIB = 2**20
# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_IMAGE = 32 * _MIB
"""Above, glibc takes no threshold for M_MMAP_THRESHOLD."""
_KEPT = 256 * _MIB


def keep_freed_memory() -> None:
    """Let this process reuse the memory of one image for the next.

    Otherwise glibc hands what is freed back to the kernel, which clears it page by page when the
    next image needs it: 6 ms for 1920x1080 in colour. Does nothing where there is no glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for name, value in ((_M_TRIM_THRESHOLD, _KEPT), (_M_MMAP_THRESHOLD, _LARGEST_IMAGE)):
            mallopt(name, value)


def process_mib(process: int | str = "self") -> float | None:
    """Return a process's resident memory in MiB.

    Args:
        process: Its id.

    Returns:
        None where the system does not tell (not Linux), or there is no such process.
    """
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / _MIB


def device_mib(device: object) -> float | None:
    """Return what PyTorch holds on a GPU in MiB; ``None`` for other devices."""
    if isinstance(device, torch.device) and device.type == "cuda":
        return torch.cuda.memory_allocated(device) / _MIB
    return None
