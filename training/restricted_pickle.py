# SPDX-License-Identifier: Apache-2.0
"""Read a pickle of dicts and numpy arrays without executing anything in it.

A pickle is a program for a stack machine. ``pickle.load`` runs it: it imports what the file names
and calls it. Here ``pickletools`` only decodes the instructions, and the machine below carries out
those that build dicts, lists, numbers, texts and arrays. Names in the file stay names: nothing is
imported, nothing of the file is called.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any

from training.pickled_arrays import (
    PickleRefusedError,
    construct,
    find_name,
    finished,
    kind,
    set_items,
    set_state,
    shown,
)

_MARK = object()
_LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)


def read_pickle(data: bytes) -> dict[str, Any]:
    """Read a pickled dict of numpy arrays, numbers, texts, lists and further dicts.

    Args:
        data: The whole file, any pickle protocol.

    Returns:
        The dict. Arrays may be read-only and in foreign byte order.

    Raises:
        PickleRefusedError: If the data is not a whole pickle, or names anything but numpy's
            arrays and ordered dicts; the text holds the name.
    """
    try:
        result = _Machine().run(data)
    except PickleRefusedError:
        raise
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        # A key that is not there says nothing by itself.
        reason = repr(error) if isinstance(error, LookupError) else str(error)
        raise PickleRefusedError(f"not a whole pickle: {reason}") from error
    if not isinstance(result, dict):
        raise PickleRefusedError(f"the pickle holds a {kind(result)}, expected a dict")
    return result


class _Machine:
    """The stack machine; ``pickletools`` documents its instructions."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        push = self._stack.append
        self._actions: dict[str, Callable[[Any], None]] = {
            **dict.fromkeys(("PROTO", "FRAME"), lambda _: None),
            **dict.fromkeys(_LITERALS, push),
            "NONE": lambda _: push(None),
            "NEWTRUE": lambda _: push(True),
            "NEWFALSE": lambda _: push(False),
            "MARK": lambda _: push(_MARK),
            **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), self._put),
            "MEMOIZE": lambda _: self._put(len(self._memo)),
            **dict.fromkeys(
                ("GET", "BINGET", "LONG_BINGET"), lambda index: push(self._memo[index])
            ),
            "EMPTY_TUPLE": lambda _: push(()),
            "TUPLE1": lambda _: push(tuple(self._pop(1))),
            "TUPLE2": lambda _: push(tuple(self._pop(2))),
            "TUPLE3": lambda _: push(tuple(self._pop(3))),
            "TUPLE": lambda _: push(tuple(self._pop_to_mark())),
            "EMPTY_LIST": lambda _: push([]),
            "LIST": lambda _: push([finished(value) for value in self._pop_to_mark()]),
            "APPEND": lambda _: self._extend(self._pop(1)),
            "APPENDS": lambda _: self._extend(self._pop_to_mark()),
            "EMPTY_DICT": lambda _: push({}),
            "DICT": lambda _: push(_paired({}, self._pop_to_mark())),
            "SETITEM": lambda _: self._update(self._pop(2)),
            "SETITEMS": lambda _: self._update(self._pop_to_mark()),
            "GLOBAL": lambda name: push(find_name(*name.split(" ", 1))),
            "STACK_GLOBAL": lambda _: push(find_name(*self._pop(2))),
            # An old way to name a class and call it at once; no array needs it.
            "INST": lambda name: push(construct(find_name(*name.split(" ", 1)), None)),
            "REDUCE": lambda _: push(construct(*self._pop(2))),
            "BUILD": lambda _: set_state(*self._peek_and_pop()),
        }

    def run(self, data: bytes) -> Any:
        for opcode, argument, position in pickletools.genops(data):
            if opcode.name == "STOP":
                (result,) = self._pop(len(self._stack))
                return finished(result)
            action = self._actions.get(opcode.name)
            if action is None:
                detail = "" if argument is None else f" {shown(argument)}"
                raise PickleRefusedError(
                    "not a pickle of arrays and dicts: "
                    f"instruction {opcode.name}{detail} at byte {position}"
                )
            action(argument)
        raise ValueError("it has no end")

    def _pop(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise IndexError("its stack is empty")
        start = len(self._stack) - count
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _pop_to_mark(self) -> list[Any]:
        count = 0
        while self._stack[-1 - count] is not _MARK:
            count += 1
        values = self._pop(count)
        self._pop(1)
        return values

    def _peek_and_pop(self) -> tuple[Any, Any]:
        target, state = self._pop(2)
        self._stack.append(target)
        return target, state

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise TypeError(f"appends to a value of type {kind(target)}")
        target.extend(finished(value) for value in values)

    def _update(self, items: list[Any]) -> None:
        _paired(self._stack[-1], items)


def _paired(target: Any, items: list[Any]) -> Any:
    set_items(target, zip(items[::2], items[1::2], strict=True))
    return target
