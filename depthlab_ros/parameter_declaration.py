# SPDX-License-Identifier: Apache-2.0
"""ROS parameters described by the fields of a frozen dataclass.

The dataclass is the one place that says what a parameter is called, what it means, what values it
may take and when it may change; ROS is told from there, and code reads plain attributes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

Change = Literal["always", "unconfigured", "never"]
_TYPE_NAMES = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "a string",
}
_ITEM_NAMES = {int: "whole numbers", str: "strings"}


class ParameterError(ValueError):
    """A parameter with a value that it cannot have; one line for the user."""


@dataclasses.dataclass(frozen=True)
class ParameterSet:
    """Base of the dataclasses whose fields are made by ``parameter``."""

    def __post_init__(self) -> None:
        """Check every value; a whole number will do for a float (10) or a string (device 0).

        Raises:
            ParameterError: If a value has another type, or is outside its range or choices.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if type(value) is int and type(field.default) in (float, str):
                value = float(value) if type(field.default) is float else str(value)
                object.__setattr__(self, field.name, value)
            elif type(field.default) is tuple and isinstance(value, Sequence):
                value = value if isinstance(value, str) else tuple(value)
                object.__setattr__(self, field.name, value)
            _check(field, value)


P = TypeVar("P", bound=ParameterSet)


def parameter(
    default: Any,
    description: str,
    *,
    bounds: tuple[float, float] | None = None,
    choices: Sequence[str] = (),
    change: Change = "never",
) -> Any:
    """Return a dataclass field that is a ROS parameter.

    Args:
        default: Default value, which also sets the type.
        description: For ``ros2 param describe``, with the unit.
        bounds: Lowest and highest number, both allowed.
        choices: The only strings allowed; empty = any.
        change: When it may be set: always, only while the node is unconfigured, or never after
            the start.
    """
    metadata = {
        "description": description,
        "bounds": bounds,
        "choices": tuple(choices),
        "change": change,
    }
    return dataclasses.field(default=default, metadata=metadata)


def declare_parameters(node: Node, kind: type[P]) -> P:
    """Declare every field of ``kind`` on ``node`` and return the values it was started with.

    Raises:
        ParameterError: If one was started with a wrong type or value.
    """
    values: dict[str, Any] = {}
    # Any type at first, so that a wrong one gets our one-line text, and 10 will do for 10.0.
    for field in dataclasses.fields(kind):
        anything = ParameterDescriptor(dynamic_typing=True)
        values[field.name] = node.declare_parameter(field.name, field.default, anything).value
    parameters = kind(**values)
    for field in dataclasses.fields(kind):
        node.set_parameters([Parameter(field.name, value=getattr(parameters, field.name))])
        node.set_descriptor(field.name, _descriptor(field))
    return parameters


def update_parameters(current: P, changes: Mapping[str, Any], *, configured: bool) -> P:
    """Return ``current`` with ``changes``; names that it does not have are left out.

    Args:
        current: The values in force.
        changes: New values by parameter name.
        configured: Whether the node has passed configure.

    Raises:
        ParameterError: If a value is not allowed, or may not change now.
    """
    fields = {field.name: field for field in dataclasses.fields(current)}
    own = {name: value for name, value in changes.items() if name in fields}
    for name in own:
        if fields[name].metadata["change"] == "unconfigured" and configured:
            raise ParameterError(
                f"'{name}' can change only while the node is unconfigured: "
                "deactivate and clean it up first"
            )
    return dataclasses.replace(current, **own)


def _descriptor(field: dataclasses.Field[Any]) -> ParameterDescriptor:
    bounds, choices = field.metadata["bounds"], field.metadata["choices"]
    descriptor = ParameterDescriptor(
        type=Parameter.Type.from_parameter_value(field.default).value,
        description=field.metadata["description"],
        read_only=field.metadata["change"] == "never",
        additional_constraints=f"One of: {', '.join(choices)}" if choices else "",
    )
    if bounds and _item_type(field) is int:
        descriptor.integer_range = [IntegerRange(from_value=bounds[0], to_value=bounds[1])]
    elif bounds:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(bounds[0]), to_value=float(bounds[1]))
        ]
    return descriptor


def _item_type(field: dataclasses.Field[Any]) -> type:
    """Return the type of a value, or of the items of a list."""
    default: Any = field.default
    return type(default[0] if type(default) is tuple else default)


def _check(field: dataclasses.Field[Any], value: Any) -> None:
    bounds, choices = field.metadata["bounds"], field.metadata["choices"]
    is_list, item_type = type(field.default) is tuple, _item_type(field)
    items = value if is_list and type(value) is tuple else [value]
    if (
        (type(value) is tuple or not is_list)
        and all(type(item) is item_type for item in items)
        and (not bounds or all(bounds[0] <= item <= bounds[1] for item in items))
        and (not choices or value in choices)
    ):
        return
    expected = f"a list of {_ITEM_NAMES[item_type]}" if is_list else _TYPE_NAMES[item_type]
    if bounds:
        expected += f" from {bounds[0]:g} to {bounds[1]:g}"
    if choices:
        expected = f"one of {', '.join(choices)}"
    raise ParameterError(f"parameter '{field.name}': got {value!r}, expected {expected}")
