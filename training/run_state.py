# SPDX-License-Identifier: Apache-2.0
"""What a run needs to go on after a kill: saved atomically, loaded without executing anything."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import torch

from training.messages import one_line

FILE_NAME = "run_state.pt"


class RunStateError(Exception):
    """A saved state cannot be used; the message says why."""


def save_atomically(data: dict[str, Any], path: Path) -> None:
    """Write ``data`` with torch so that ``path`` always holds a whole file.

    Raises:
        RunStateError: If the disk is full or cannot be written; what was there before stays.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as file:
            torch.save(data, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def unwritable(path: Path, error: Exception) -> RunStateError:
    """Return what to raise where ``path`` cannot be written; torch hides the system's error."""
    cause = error if isinstance(error, OSError) else error.__context__
    reason = cause.strerror if isinstance(cause, OSError) else None
    return RunStateError(f"{path}: cannot be written ({reason or one_line(error)})")


def load_run_state(path: Path, device: torch.device) -> dict[str, Any]:
    """Read what ``save_atomically`` wrote.

    Raises:
        RunStateError: If the file is damaged, or something else.
    """
    try:
        data: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:
        raise RunStateError(
            f"{path}: cannot be read ({one_line(error)}); delete it to start anew"
        ) from error
    if not isinstance(data, dict) or not isinstance(data.get("config"), dict):
        raise RunStateError(f"{path}: is no state of a run; delete it to start anew")
    return data


def changed_entries(old: dict[str, Any], new: dict[str, Any], path: str = "") -> list[str]:
    """List where two nested configurations differ, as ``path: old -> new``."""
    changes = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            changes += changed_entries(before, after, f"{path}{key}.")
        elif _plain(before) != _plain(after):
            changes.append(f"{path}{key}: {before} -> {after}")
    return changes


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
