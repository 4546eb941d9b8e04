# SPDX-License-Identifier: Apache-2.0
"""Renders a data set: ``python -m training.streets.render --out DIR --frames N --split train``.

With ``--drive-length L`` the frames are those of drives of L frames at 10 Hz, one for each town.
With ``--mount`` and ``--camera-height`` they are those of one kind of camera, such as a robot's,
with ``--main-street`` those of one kind of place.
"""

import argparse
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Set
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from itertools import islice

from training.arguments import (
    image_size,
    not_negative,
    output_folder,
    positive_int,
    whole_number,
)
from training.stop_request import StopRequest
from training.streets.generator import FRAMES_PER_TOWN, StreetGenerator
from training.streets.gpu import RendererError
from training.streets.mounting import MOUNTS, Placement
from training.streets.town import ROADS
from training.streets.write import CityscapesWriter, IndexDamagedError, PanopticEntry

MakeGenerator = Callable[[], StreetGenerator]


def render_range(
    make_generator: MakeGenerator, writer: CityscapesWriter, first: int, last: int
) -> list[PanopticEntry]:
    """Render frames ``first`` to ``last - 1`` and return their panoptic entries."""
    generator = make_generator()
    return [writer.write(generator.frame(index)) for index in range(first, last)]


def render_drive(
    make_generator: MakeGenerator, writer: CityscapesWriter, first: int, last: int, length: int
) -> list[PanopticEntry]:
    """Render the frames ``first`` to ``last - 1`` of all drives, which are those of one drive."""
    number, skipped = divmod(first, length)
    frames = islice(make_generator().sequence(number, length), skipped, skipped + last - first)
    return [writer.write(frame) for frame in frames]


def _ranges(frames: int, start: int, whole: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of frames that share a town: ``whole`` of them have one."""
    index = start
    while index < start + frames:
        last = min((index // whole + 1) * whole, start + frames)
        yield index, last
        index = last


def _without(drawn: Set[int], spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield from the first to the last frame that is missing of each range that is not whole."""
    for first, last in spans:
        missing = [number for number in range(first, last) if number not in drawn]
        if missing:
            yield missing[0], missing[-1] + 1


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.streets.render", description=__doc__)
    parser.add_argument(
        "--out", type=output_folder, required=True, metavar="FOLDER", help="to write into"
    )
    parser.add_argument("--frames", type=positive_int, required=True, help="how many to draw")
    parser.add_argument(
        "--start",
        type=whole_number,
        default=0,
        help="number of the first frame (default: %(default)s)",
    )
    parser.add_argument(
        "--split",
        choices=("train", "val"),
        default="train",
        help="part to write; its towns have designs that the other lacks (default: %(default)s)",
    )
    parser.add_argument(
        "--size",
        type=image_size,
        default=(512, 256),
        metavar="WIDTHxHEIGHT",
        help="of the frames, pixels (default: 512x256)",
    )
    parser.add_argument(
        "--drive-length",
        type=positive_int,
        metavar="L",
        help="frames of each drive (default: no drives)",
    )
    parser.add_argument(
        "--mount",
        choices=tuple(MOUNTS),
        help="what carries the camera (default: all of these)",
    )
    parser.add_argument(
        "--camera-height",
        type=float,
        nargs=2,
        metavar=("LOWEST", "HIGHEST"),
        help="over the ground, metres (default: as usual for its mount)",
    )
    parser.add_argument(
        "--main-street",
        choices=tuple(ROADS),
        metavar="KIND",
        help="kind of place: %(choices)s (default: all)",
    )
    parser.add_argument(
        "--seed", type=whole_number, default=0, help="of the towns (default: %(default)s)"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="leave out what an interrupted run with the same options has drawn",
    )
    parser.add_argument(
        "--minutes",
        type=not_negative,
        help="begin no town after that time, but finish what is begun (default: no limit)",
    )
    parser.add_argument(
        "--workers", type=positive_int, default=1, help="processes (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    heights = None if options.camera_height is None else tuple(options.camera_height)
    try:
        placement = Placement(options.mount, heights)
    except ValueError as error:
        parser.error(f"--camera-height: {error}")
    if options.drive_length and options.mount not in (None, "car"):
        parser.error(f"--mount: got {options.mount}, expected car: drives are those of cars")
    if options.drive_length and options.resume:
        parser.error("--resume: got --drive-length, expected single frames")
    # One rasteriser thread each: workers share the cores among themselves.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    width, height = options.size
    # Made by each worker: a renderer belongs to its process.
    make_generator = partial(
        StreetGenerator,
        options.split,
        seed=options.seed,
        width=width,
        height=height,
        placement=placement,
        main_street=options.main_street,
    )
    writer = CityscapesWriter(options.out, options.split)
    length = options.drive_length
    render = partial(render_drive, length=length) if length else render_range
    spans = list(_ranges(options.frames, options.start, length or FRAMES_PER_TOWN))
    try:
        drawn = writer.listed(options.seed)
    except IndexDamagedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.resume:
        for other in set(drawn.values()) - {options.size}:
            parser.error(
                f"--size: got {width}x{height}, expected {other[0]}x{other[1]} as the frames in "
                f"{options.out} have"
            )
        spans = list(_without(drawn.keys(), spans))
    done = options.frames - sum(last - first for first, last in spans)
    entries: list[PanopticEntry] = []
    start = time.monotonic()
    context = multiprocessing.get_context("spawn")
    try:
        with (
            StopRequest((signal.SIGINT,), _tell_of_finishing).listening() as stop,
            ProcessPoolExecutor(options.workers, context, _begin_worker) as executor,
        ):
            jobs: set[Future[list[PanopticEntry]]] = set()
            while spans or jobs:
                with _interrupts_held():  # workers inherit that, who have a town to finish
                    while spans and len(jobs) < options.workers:
                        first, last = spans.pop(0)
                        jobs.add(executor.submit(render, make_generator, writer, first, last))
                finished, jobs = wait(jobs, return_when=FIRST_COMPLETED)
                for job in finished:
                    entries += job.result()
                print(f"{done + len(entries)} of {options.frames} frames", flush=True)
                writer.finish(entries)
                is_late = (
                    options.minutes is not None and time.monotonic() - start > 60 * options.minutes
                )
                if is_late or stop.requested:
                    spans = []
    except (OSError, RendererError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 128 + signal.SIGINT if stop.requested else 0


def _tell_of_finishing(name: str) -> None:
    print("interrupted: finishing the towns that are begun", file=sys.stderr, flush=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Deliver Ctrl-C afterwards, and never to the processes that are begun inside."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _begin_worker() -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A parent that was killed tells its workers nothing, and they would wait for work forever.
    parent = multiprocessing.parent_process()
    assert parent is not None  # this runs in workers alone
    parent.join()
    os._exit(1)


if __name__ == "__main__":
    raise SystemExit(main())
