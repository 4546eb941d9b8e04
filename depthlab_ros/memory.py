# SPDX-License-Identifier: Apache-2.0
"""How much memory this process holds."""

from __future__ import annotations

import os
from pathlib import Path

import torch

_STATM = Path("/proc/self/statm")
_MIB = 2**20


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
