# SPDX-License-Identifier: Apache-2.0
"""What names and values in a pickle of numpy arrays mean, for ``training.restricted_pickle``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt


class PickleRefusedError(ValueError):
    """The file is no pickle, is damaged, or holds more than dicts and arrays; the text says so."""


class Name(Enum):
    """The names that pickles of arrays need."""

    ORDERED_DICT = "collections.OrderedDict"
    NDARRAY = "numpy.ndarray"
    DTYPE = "numpy.dtype"
    RECONSTRUCT = "numpy.core.multiarray._reconstruct"
    SCALAR = "numpy.core.multiarray.scalar"
    FROM_BUFFER = "numpy.core.numeric._frombuffer"
    ENCODE = "_codecs.encode"
    """Protocols below 3 spell bytes as encoded text."""


_DTYPES = frozenset(["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"])
"""Plain numbers. Elements of object and record types could be anything."""
_LONGEST_SIDE = 1 << 40
_SHOWN_AT_MOST = 160


class Array:
    """An array under construction; a later instruction brings its content."""

    def __init__(self, value: npt.NDArray[Any] | None = None) -> None:
        self.value = value


class DType:
    """An element type; a later instruction brings its byte order."""

    def __init__(self, code: str) -> None:
        self.value = np.dtype(code)


def find_name(module: Any, name: Any) -> Name:
    """Look a name up; numpy 2 renamed ``numpy.core``.

    Raises:
        PickleRefusedError: If it is not one of ``Name``; the text holds it.
    """
    if not isinstance(module, str) or not isinstance(name, str):
        raise TypeError(f"a name is of type {kind(module)} and {kind(name)}")
    full = f"{module}.{name}"
    try:
        # Split otherwise, "numpy.core" "multiarray.scalar" would reach for attributes.
        found = Name(full.replace("numpy._core.", "numpy.core.", 1))
    except ValueError:
        found = None
    if found is None or "." in name:
        raise PickleRefusedError(
            f"the pickle names {shown(full)}, expected only numpy arrays and dicts"
        )
    return found


def construct(what: Any, arguments: Any) -> Any:
    """Return what calling ``what`` with ``arguments`` stands for."""
    if not isinstance(what, Name) or not isinstance(arguments, tuple):
        raise TypeError(f"calls a value of type {kind(what)}")
    if what is Name.ORDERED_DICT:
        result: dict[str, Any] = {}
        set_items(result, (pair for pairs in arguments for pair in pairs))
        return result
    if what is Name.DTYPE:
        return _dtype(arguments[0])
    if what is Name.ENCODE:
        text, encoding = arguments
        if encoding not in ("latin1", "latin-1"):
            raise ValueError(f"bytes are encoded as {shown(encoding)}")
        return text.encode("latin-1")
    if what is Name.RECONSTRUCT:
        if arguments[0] is not Name.NDARRAY:
            raise TypeError(f"an array is of type {kind(arguments[0])}")
        return Array()
    if what is Name.SCALAR:
        dtype, content = arguments
        return Array(_array((), dtype, False, content))
    if what is Name.FROM_BUFFER:
        content, dtype, shape, order = arguments
        return Array(_array(shape, dtype, order == "F", content))
    raise PickleRefusedError(f"the pickle calls {what.value}, which arrays do not need")


def set_state(target: Any, state: Any) -> None:
    """Complete an array or an element type."""
    if isinstance(target, DType):
        _version, order, subarray, names, fields, *_ = state
        if order not in ("<", ">", "|", "=") or (subarray, names, fields) != (None, None, None):
            raise PickleRefusedError("the pickle holds an array of records, not of numbers")
        target.value = target.value.newbyteorder(order)
    elif isinstance(target, Array):
        _version, shape, dtype, is_fortran, content = state
        target.value = _array(shape, dtype, is_fortran, content)
    elif not isinstance(target, dict):  # torch hangs its version numbers on an OrderedDict
        raise TypeError(f"sets the state of a value of type {kind(target)}")


def set_items(target: Any, items: Iterable[Any]) -> None:
    """Add key and value pairs to a dict."""
    if not isinstance(target, dict):
        raise TypeError(f"sets entries of a value of type {kind(target)}")
    for key, value in items:
        if not isinstance(key, str):
            raise PickleRefusedError(f"a dict has a key of type {kind(key)}, expected text")
        target[key] = finished(value)


def finished(value: Any) -> Any:
    """Return a value as users of the pickle see it."""
    if isinstance(value, Array):
        if value.value is None:
            raise ValueError("an array has no content")
        return value.value
    if value is None or isinstance(
        value, bool | int | float | str | bytes | list | dict | np.ndarray
    ):
        return value
    raise PickleRefusedError(f"the pickle holds a {kind(value)}, expected arrays and dicts")


def kind(value: Any) -> str:
    """Name a value's type for messages."""
    return value.value if isinstance(value, Name) else type(value).__name__.lower()


def shown(value: object) -> str:
    """Return what a file holds fit for a message: one line, not long."""
    if not isinstance(value, str | int):
        return f"<{kind(value)}>"
    text = value if isinstance(value, str) and value.isprintable() else ascii(value)
    return text if len(text) <= _SHOWN_AT_MOST else text[:_SHOWN_AT_MOST] + "..."


def _dtype(code: Any) -> DType:
    if not isinstance(code, str) or code.lstrip("<>=|") not in _DTYPES:
        raise PickleRefusedError(
            f"the pickle holds an array of numpy.dtype({shown(code)}), expected plain numbers"
        )
    return DType(code)


def _array(shape: Any, dtype: Any, is_fortran: Any, content: Any) -> npt.NDArray[Any]:
    if not isinstance(dtype, DType):
        raise TypeError(f"an array's element type is of type {kind(dtype)}")
    if isinstance(content, str):  # Python 2 had no bytes
        content = content.encode("latin-1")
    if not isinstance(content, bytes | bytearray):
        raise TypeError(f"an array's content is of type {kind(content)}")
    if not isinstance(shape, tuple) or not all(
        type(side) is int and 0 <= side < _LONGEST_SIDE for side in shape
    ):
        raise TypeError("an array's shape is not a tuple of sizes")
    expected = math.prod(shape) * dtype.value.itemsize
    if len(content) != expected:
        raise ValueError(
            f"an array's content has {len(content)} bytes, its shape needs {expected}"
        )
    flat = np.frombuffer(content, dtype.value)
    return flat.reshape(shape, order="F" if is_fortran else "C")
