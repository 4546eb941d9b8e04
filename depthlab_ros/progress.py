# SPDX-License-Identifier: Apache-2.0
"""How far the demo is: a bar in a terminal, lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from depthlab_ros.recording import Recording

WIDTH = 80
LINE_EVERY_S = 10.0

Show = Callable[[Recording], None]


@contextmanager
def show_progress(seconds: float | None) -> Iterator[Show]:
    """Yield a function that shows how far a recording is.

    Args:
        seconds: How long the source will play; ``None`` = unknown.
    """
    if sys.stderr.isatty():
        with _bar(seconds) as show:
            yield show
    else:
        yield _lines(seconds)


def _lines(seconds: float | None) -> Show:
    last = time.monotonic()

    def show(recording: Recording) -> None:
        nonlocal last
        if time.monotonic() - last < LINE_EVERY_S:
            return
        last = time.monotonic()
        of = f" of {seconds:.0f}" if seconds else ""
        played = f"played {recording.seconds_in:.0f}{of} s"
        print(f"{played}, {recording.frames_out} frames out", flush=True)

    return show


@contextmanager
def _bar(seconds: float | None) -> Iterator[Show]:
    layout = "{desc} {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s{postfix}"
    layout = layout if seconds else "{desc} {n:.0f} s{postfix}"
    # nrows: tqdm shows nothing on terminals that do not know their height, such as CI's.
    options = {"ncols": WIDTH - 1, "nrows": 20, "bar_format": layout}
    with tqdm(total=seconds, desc="recording", **options) as bar:

        def show(recording: Recording) -> None:
            bar.n = min(recording.seconds_in, seconds) if seconds else recording.seconds_in
            bar.set_postfix_str(f"{recording.frames_out} frames out")

        yield show
        if seconds:
            bar.n = seconds
            bar.refresh()
