# SPDX-License-Identifier: Apache-2.0
"""Command-line arguments: their types, and the options that several commands have.

A wrong value ends the program before any work is done.
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path

SMALLEST_SIDE = 16
"""Of images that are drawn, pixels."""


def positive_int(text: str) -> int:
    """Read a whole number of 1 or more.

    Raises:
        argparse.ArgumentTypeError: If it is anything else.
    """
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number, 1 or more")
    return value


def whole_number(text: str) -> int:
    """Read a whole number of 0 or more.

    Raises:
        argparse.ArgumentTypeError: If it is anything else.
    """
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number, 0 or more")
    return int(text)


def positive_float(text: str) -> float:
    """Read a finite number above 0.

    Raises:
        argparse.ArgumentTypeError: If it is anything else.
    """
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number above 0")
    return value


def not_negative(text: str) -> float:
    """Read a finite number of 0 or more.

    Raises:
        argparse.ArgumentTypeError: If it is anything else.
    """
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number, 0 or more")
    return value


def fraction(text: str) -> float:
    """Read a number from 0 to 1.

    Raises:
        argparse.ArgumentTypeError: If it is anything else.
    """
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected 0 to 1")
    return value


def output_file(text: str) -> Path:
    """Return the path of a file to write; its folder is made now, since work is lost without it.

    Raises:
        argparse.ArgumentTypeError: If no file can be written there.
    """
    path = Path(text)
    try:
        is_folder = path.is_dir()
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a file in a folder that can be made ({error.strerror})"
        ) from error
    if is_folder:
        raise argparse.ArgumentTypeError(f"got the folder {text!r}, expected a file")
    if not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a folder that can be written")
    return path


def output_folder(text: str) -> Path:
    """Return the path of a folder to write into; it is made now, since work is lost without it.

    Raises:
        argparse.ArgumentTypeError: If it is no folder that can be made and written.
    """
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a folder that can be made ({error.strerror})"
        ) from error
    if not os.access(path, os.W_OK):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a folder that can be written")
    return path


def image_size(text: str) -> tuple[int, int]:
    """Read "WIDTHxHEIGHT", both whole numbers of ``SMALLEST_SIDE`` or more.

    Raises:
        argparse.ArgumentTypeError: If it is anything else.
    """
    width, _, height = text.lower().partition("x")
    sides = (width, height)
    if not all(side.isdecimal() and int(side) >= SMALLEST_SIDE for side in sides):
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected WIDTHxHEIGHT, each {SMALLEST_SIDE} or more"
        )
    return int(width), int(height)


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``--config`` and ``--set``."""
    parser.add_argument(
        "--config",
        type=Path,
        required=True,
        metavar="FILE",
        help="YAML file, see training/configs",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="a.b=VALUE",
        help="replace an entry of it; may be given several times",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``, as ``DepthLab.load`` takes it."""
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument(
        "--json", type=output_file, metavar="FILE", help="also write the figures to this file"
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add ``--threads``."""
    parser.add_argument(
        "--threads", type=positive_int, help="of PyTorch on the CPU (default: its own choice)"
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
