# SPDX-License-Identifier: Apache-2.0
"""What figures belong to."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import torch


def machine() -> dict[str, Any]:
    """Describe the machine and the code."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    fields = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    flags = set(fields.get("flags", "").split())
    return {
        "cpu": fields.get("model name", platform.machine()),
        "threads": torch.get_num_threads(),
        "bf16": sorted(flags & {"amx_bf16", "avx512_bf16"}),
        "torch": torch.__version__,
        "commit": _commit(),
    }


def _commit() -> str:
    if shutil.which("git") is None:
        return ""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
