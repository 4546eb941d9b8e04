# SPDX-License-Identifier: Apache-2.0
"""Pickles of arrays are read in every protocol; anything else is refused and never run."""

import builtins
import collections
import contextlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.pickled_arrays import PickleRefusedError
from training.restricted_pickle import read_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
ARRAY = np.random.default_rng(0).standard_normal((3, 4, 2)).astype(np.float32)
CONTENT = {
    "model": collections.OrderedDict(
        plain=ARRAY,
        fortran=np.asfortranarray(ARRAY),
        strided=ARRAY[:, ::2],
        counter=np.array(7),
        scalar=np.int64(8),
        big_endian=ARRAY.astype(">f8"),
        flags=np.array([True, False]),
        half=ARRAY.astype(np.float16),
        read_only=np.broadcast_to(ARRAY, (2, 3, 4, 2)),
    ),
    "__author__": "Detectron2 Model Zoo é",
    "matching_heuristics": True,
    "list": [1, -2.5, None, b"\x00\xff", 10**30],
}


class Calls:
    """Pickles to a call of ``function``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_reads_arrays_and_dicts(protocol: int) -> None:
    read = read_pickle(pickle.dumps(CONTENT, protocol))
    assert list(read) == list(CONTENT)
    assert list(read["model"]) == list(CONTENT["model"])
    for key, expected in CONTENT["model"].items():
        assert read["model"][key].dtype == expected.dtype
        np.testing.assert_array_equal(read["model"][key], expected)
    assert {k: v for k, v in read.items() if k != "model"} == {
        k: v for k, v in CONTENT.items() if k != "model"
    }


def test_reads_pickles_of_older_numpy() -> None:
    new = pickle.dumps({"a": ARRAY}, protocol=2)
    old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    np.testing.assert_array_equal(read_pickle(old)["a"], ARRAY)


def test_reads_pickles_of_python_2() -> None:
    # Its text and bytes are one type.
    state = (
        b"(I1\n(I2\ntcnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n"
        b"U\x08\x00\x00\x80?\x00\x00\x00@tb"
    )
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR" + state
    np.testing.assert_array_equal(read_pickle(b"(dS'a'\n" + array + b"s.")["a"], [1, 2])
    ordered = b"ccollections\nOrderedDict\n((l(lS'a'\na" + array + b"aatR."
    np.testing.assert_array_equal(read_pickle(ordered)["a"], [1, 2])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("value", "name"),
    [
        (Calls(os.system, "touch {}"), r"(posix|nt)\.system"),
        (Calls(builtins.eval, "open('{}', 'w')"), r"(builtins|__builtin__)\.eval"),
        (Calls(np.load, "x"), r"numpy\.(load|lib\S*)"),
        (Calls(Path, "x"), "pathlib"),
        (torch.zeros(2), r"torch\._utils\._rebuild_tensor_v2"),
        (np.ma.zeros(2), r"numpy\.ma\.core\._mareconstruct"),
        (np.float32, r"numpy\.float32"),
        (
            np.array([1, "a", Calls(os.system, "true")], object),
            r"numpy\.dtype\(O8\)|posix\.system",
        ),
        (np.zeros(2, [("field", "f4")]), r"numpy\.dtype\(V4\)"),
        (np.array(["text"]), r"numpy\.dtype\(U4\)"),
        (np.datetime64("2020-01-01"), r"numpy\.dtype\(M8\)"),
        ({1, 2}, r"(builtins|__builtin__)\.set|EMPTY_SET"),
        (1 + 2j, r"(builtins|__builtin__)\.complex"),
        ((1, 2), "tuple"),
        ({1: ARRAY}, "key of type int"),
        (np.dtype("f4"), "dtype"),
    ],
)
def test_refuses_everything_else_by_name(value: Any, name: str, protocol: int) -> None:
    with pytest.raises(PickleRefusedError, match=name):
        read_pickle(pickle.dumps({"model": {"weight": value}}, protocol))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", r"names os\.system"),
        (b"(S'true'\nios\nsystem\n.", r"names os\.system"),
        (b"(cos\nsystem\nS'true'\no.", r"names os\.system"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.dump\x93.", r"names numpy\.ndarray\.dump"),
        (b"\x80\x04\x8c\x05numpy\x8c\x16core.multiarray.scalar\x93.", "names numpy.core"),
        (b"\x80\x04\x8c\x05numpy\x8c\x07os\ncore\x93.", r"names 'numpy\.os\\ncore'"),
        (b"cnumpy\nndarray\n)\x81.", "NEWOBJ"),
        (b"cnumpy\nndarray\n(I9\ntR.", "calls numpy.ndarray"),
        (b"ccollections\nOrderedDict\n}S'x'\nI1\nsb.", "state of a value of type collections"),
        (b"\x82\x05.", "EXT1 5"),
        (b"Px\n.", "PERSID x"),
        (b"}\x97.", "NEXT_BUFFER"),
        (b"", "not a whole pickle"),
        (b"\x80", "not a whole pickle"),
        (b".", "not a whole pickle"),
        (b"N.", "expected a dict"),
        (b"}h\x05.", r"not a whole pickle: KeyError\(5\)"),
        (b"}" * 1_000_000, "not a whole pickle"),
        (b"\x89PNG\r\n\x1a\n", "not a pickle of arrays"),
        (b"B\xff\xff\xff\x7fabc.", "not a whole pickle"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.", "not a whole pickle"),
        (b"r\xff\xff\xff\x7f.", "not a whole pickle"),
    ],
)
def test_refuses_other_programs(data: bytes, reason: str) -> None:
    with pytest.raises(PickleRefusedError, match=reason):
        read_pickle(data)


def test_nothing_is_executed(tmp_path: Path) -> None:
    victim = tmp_path / "touched"
    data = pickle.dumps({"model": Calls(os.system, f"touch {victim}")})
    with pytest.raises(PickleRefusedError):
        read_pickle(data)
    assert not victim.exists()


def test_content_must_fill_the_shape() -> None:
    data = pickle.dumps({"a": np.zeros(3, np.uint8)}, protocol=2)
    assert data.count(b"K\x03\x85") == 1
    with pytest.raises(PickleRefusedError, match="content has 3 bytes, its shape needs 4"):
        read_pickle(data.replace(b"K\x03\x85", b"K\x04\x85"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_truncation_is_one_clear_error(protocol: int) -> None:
    data = pickle.dumps(CONTENT, protocol)
    for length in range(0, len(data), 13):
        with pytest.raises(PickleRefusedError):
            read_pickle(data[:length])


@given(st.sampled_from(PROTOCOLS), st.data())
def test_damage_never_raises_anything_else(protocol: int, data: st.DataObject) -> None:
    content = bytearray(pickle.dumps(CONTENT, protocol))
    for _ in range(3):
        index = data.draw(st.integers(0, len(content) - 1))
        content[index] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PickleRefusedError):
        read_pickle(bytes(content))
