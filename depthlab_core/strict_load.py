# SPDX-License-Identifier: Apache-2.0
"""Configuration dataclasses from nested mappings, strictly: an unknown key is an error."""

from __future__ import annotations

import dataclasses
import math
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

T = TypeVar("T")


def require(condition: bool, name: str, got: object, expected: str) -> None:
    """Raise ``ValueError`` in the project's form unless ``condition`` holds."""
    if not condition:
        raise ValueError(f"{name}: got {got!r}, expected {expected}")


def require_positive(name: str, got: Any, unit: str) -> None:
    """Raise ``ValueError`` in the project's form unless ``got`` is a finite number above 0."""
    expected = f"a positive number of {unit}"
    try:
        is_positive = bool(0 < got < math.inf) and math.isfinite(got)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        # Text, or a whole camera matrix, which would be more than one line.
        raise ValueError(f"{name}: got {type(got).__name__}, expected {expected}") from None
    require(is_positive, name, got, expected)


def dataclass_from_dict(cls: type[T], data: Mapping[str, Any], path: str) -> T:
    """Build a configuration dataclass from nested mappings, strictly.

    Args:
        cls: A dataclass whose fields are numbers, strings, tuples, dataclasses, optional ones,
            dicts by name of any of these, or ``Any``.
        data: Values by field name; lists are taken for tuples.
        path: Where ``data`` stands, for messages.

    Raises:
        ValueError: If a key is unknown or missing, or a value has the wrong type or range.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"{path}: got {data!r}, expected a mapping")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in data:
        if key not in fields:
            raise ValueError(f"{path}.{key}: unknown key, expected one of {', '.join(fields)}")
    values: dict[str, Any] = {}
    for name, spec in fields.items():
        if name in data:
            values[name] = _convert(hints[name], data[name], f"{path}.{name}")
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise ValueError(f"{path}.{name}: missing")
    return cls(**values)


def _convert(hint: Any, value: Any, path: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return _convert(inner, value, path)
    if hint is Any:
        return value
    if origin is dict:
        require(isinstance(value, Mapping), path, value, "a mapping")
        return {
            str(key): _convert(arguments[1], item, f"{path}.{key}") for key, item in value.items()
        }
    if origin is Literal:
        require(value in arguments, path, value, "one of " + ", ".join(map(str, arguments)))
        return value
    if origin is tuple:
        require(isinstance(value, list | tuple), path, value, "a list")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            arguments = (arguments[0],) * len(value)
        require(len(value) == len(arguments), path, value, f"{len(arguments)} values")
        return tuple(
            _convert(argument, item, f"{path}[{index}]")
            for index, (argument, item) in enumerate(zip(arguments, value, strict=True))
        )
    if dataclasses.is_dataclass(hint):
        return dataclass_from_dict(typing.cast("type[Any]", hint), value, path)
    if hint is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # NaN would pass most checks of ranges, which compare; and a whole number may be too large.
        is_finite = is_number and abs(value) <= sys.float_info.max
        require(is_finite, path, value, "a finite number")
        return float(value)
    is_expected = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    require(is_expected, path, value, f"a value of type {hint.__name__}")
    return value
