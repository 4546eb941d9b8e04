# SPDX-License-Identifier: Apache-2.0
"""Arguments of the command lines are checked before any work is done."""

from __future__ import annotations

import argparse
import importlib
import re

import pytest

from training.arguments import (
    fraction,
    image_size,
    not_negative,
    output_file,
    output_folder,
    positive_float,
    positive_int,
    whole_number,
)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (positive_int, "1", 1),
        (positive_int, "250", 250),
        (positive_float, "1e-3", 0.001),
        (whole_number, "0", 0),
        (not_negative, "0", 0.0),
        (image_size, "256x128", (256, 128)),
        (fraction, "0", 0.0),
        (fraction, "1", 1.0),
    ],
)
def test_right_values_are_read(read, text, value):
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (positive_int, "0", "a whole number, 1 or more"),
        (positive_int, "2.5", "a whole number, 1 or more"),
        (positive_int, "many", "a whole number, 1 or more"),
        (positive_float, "0", "a number above 0"),
        (positive_float, "-1.5", "a number above 0"),
        (positive_float, "inf", "a number above 0"),
        (positive_float, "nan", "a number above 0"),
        (positive_float, "high", "a number above 0"),
        (whole_number, "-1", "a whole number, 0 or more"),
        (whole_number, "2.5", "a whole number, 0 or more"),
        (not_negative, "-1", "a number, 0 or more"),
        (not_negative, "nan", "a number, 0 or more"),
        (image_size, "256", "WIDTHxHEIGHT, each 16 or more"),
        (image_size, "0x128", "WIDTHxHEIGHT, each 16 or more"),
        (image_size, "-64x128", "WIDTHxHEIGHT, each 16 or more"),
        (image_size, "64x32x3", "WIDTHxHEIGHT, each 16 or more"),
        (fraction, "-0.1", "0 to 1"),
        (fraction, "1.01", "0 to 1"),
        (fraction, "nan", "0 to 1"),
    ],
)
def test_wrong_values_are_named(read, text, expected):
    with pytest.raises(argparse.ArgumentTypeError, match=f"got '{text}', expected {expected}"):
        read(text)


def test_the_folder_of_an_output_file_is_made(tmp_path):
    path = tmp_path / "new" / "figures" / "a.json"
    assert output_file(str(path)) == path
    assert path.parent.is_dir()
    assert not path.exists()


def test_output_files_that_cannot_be_written_are_named(tmp_path):
    with pytest.raises(argparse.ArgumentTypeError, match=r"got the folder .*, expected a file"):
        output_file(str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(argparse.ArgumentTypeError, match=r"a\.json', expected a file"):
        output_file(str(tmp_path / "file" / "a.json"))
    with pytest.raises(argparse.ArgumentTypeError, match="File name too long"):
        output_file(str(tmp_path / ("a" * 300) / "a.json"))
    # For everybody, even for root.
    with pytest.raises(argparse.ArgumentTypeError, match="expected a file in a folder that can"):
        output_file("/proc/none/a.json")


def test_an_output_folder_is_made(tmp_path):
    assert output_folder(str(tmp_path / "new" / "figures")).is_dir()
    assert output_folder(str(tmp_path)) == tmp_path


def test_output_folders_that_cannot_be_made_are_named(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below", "/proc/none"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"got '{path}', expected a folder"):
            output_folder(str(path))


@pytest.mark.parametrize(
    "name",
    [
        "ablate",
        "bundle",
        "calibrate",
        "convert_checkpoint",
        "evaluate",
        "evaluate_drives",
        "evaluate_footage",
        "export",
        "loader_cost",
        "streets.render",
        "streets.sample_drive",
        "train",
    ],
)
def test_help_fits_80_columns_and_explains_every_option(monkeypatch, capsys, name):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        importlib.import_module(f"training.{name}").main(["--help"])
    usage, options = capsys.readouterr().out.split("\noptions:\n")
    lines = options.splitlines()
    assert usage.startswith(f"usage: python -m training.{name} ")
    assert max(map(len, [*usage.splitlines(), *lines])) <= 80
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("  -"):
            assert re.search(r"\S  +\S", line) or following.startswith(" " * 10), line
    assert "(default: None)" not in options
