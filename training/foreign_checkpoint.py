# SPDX-License-Identifier: Apache-2.0
"""Weights in files of other projects: a pickle of numpy arrays or a torch file, by key."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from training.pickled_arrays import PickleRefusedError, shown
from training.restricted_pickle import read_pickle

SUFFIXES = (".pkl", ".pth")
_TORCH_BEFORE_1_6 = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_AUTHOR = "Panoptic-DepthLab"
_LARGEST = 4 << 30
"""Bytes; ten times the original with depth. Files are read into memory whole."""


class ForeignCheckpointError(Exception):
    """A file is missing, damaged, refused or no checkpoint; the text says which in one line."""


@dataclass(frozen=True)
class ForeignCheckpoint:
    """Weights as a file has them.

    Attributes:
        state: Tensors by the file's own keys, in its order.
        sha256: Of the whole file.
        author: What the file says on its origin, or None.
    """

    state: dict[str, Tensor]
    sha256: str
    author: str | None


def read_foreign_checkpoint(path: Path) -> ForeignCheckpoint:
    """Read a pickle of arrays or a torch file without executing anything in it.

    Args:
        path: Its tensors stand by key at the top or below ``model``.

    Raises:
        ForeignCheckpointError: If the file cannot be read or holds anything else.
    """
    data = _read(path)
    if zipfile.is_zipfile(path) or data.startswith(_TORCH_BEFORE_1_6):
        content = _read_torch(path)
    else:
        try:
            content = read_pickle(data)
        except PickleRefusedError as error:
            raise ForeignCheckpointError(f"{path}: {error}") from error
    tensors = content["model"] if isinstance(content.get("model"), dict) else content
    if not tensors:
        raise ForeignCheckpointError(f"{path}: got no tensors, expected a network's weights")
    author = content.get("__author__")
    return ForeignCheckpoint(
        state={key: _tensor(key, value, path) for key, value in tensors.items()},
        sha256=hashlib.sha256(data).hexdigest(),
        author=author if isinstance(author, str) else None,
    )


def write_foreign_checkpoint(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write ``{"model": weights}`` for detectron2: numpy arrays to ``.pkl``, tensors to ``.pth``.

    Raises:
        ForeignCheckpointError: If the file cannot be written or has another suffix.
    """
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    if path.suffix == ".pkl":
        arrays = {key: value.numpy() for key, value in tensors.items()}
        # With an author, detectron2 takes the keys as they are; without, it guesses at matches.
        content = {"model": arrays, "__author__": _AUTHOR}
        _replace(path, lambda file: pickle.dump(content, file, protocol=4))
    elif path.suffix == ".pth":
        _replace(path, lambda file: torch.save({"model": tensors}, file))
    else:
        raise ForeignCheckpointError(f"{path}: expected a name that ends with .pkl or .pth")


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if not path.is_file() or not 0 < size <= _LARGEST:
            raise ForeignCheckpointError(
                f"{path}: got {size} bytes, expected a regular file of 1 to {_LARGEST} bytes"
            )
        return path.read_bytes()
    except OSError as error:
        raise ForeignCheckpointError(f"{path}: {error.strerror}") from error


def _replace(path: Path, write: Callable[[BinaryIO], None]) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            write(file)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ForeignCheckpointError(f"{path}: {error.strerror}") from error


def _read_torch(path: Path) -> dict[Any, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch documents no set of exceptions for damaged files
        # Its refusal is a page of advice on how to load the file all the same.
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused:
            reason = f"the file names {shown(refused[1])}, expected only tensors"
        else:
            reason = f"not a whole torch file: {' '.join(str(error).split())[:200]}"
        raise ForeignCheckpointError(f"{path}: {reason}") from error
    if not isinstance(content, dict):
        raise ForeignCheckpointError(f"{path}: got {type(content).__name__}, expected a dict")
    return content


def _tensor(key: Any, value: Any, path: Path) -> Tensor:
    if isinstance(value, np.ndarray):
        # Native byte order, writable, its own memory: torch takes no other arrays.
        value = torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("="), order="C"))
    if not isinstance(key, str) or not isinstance(value, Tensor):
        raise ForeignCheckpointError(
            f"{path}: got {type(value).__name__} at {shown(key)}, expected a tensor by its key"
        )
    return value
