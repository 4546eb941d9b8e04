# SPDX-License-Identifier: Apache-2.0
"""``python -m depthlab_ros.demo``: camera player and node as two processes, results in files."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException

from depthlab_ros.captures import is_device, keep_decoders_quiet
from depthlab_ros.child_process import (
    end_of_terminal_interrupts,
    hold_large_images,
    keep_to_this_machine,
)
from depthlab_ros.comparison import (
    Accuracy,
    Comparison,
    ComparisonError,
    accuracy_to_json,
    format_accuracy,
)
from depthlab_ros.comparison_view import draw_comparison
from depthlab_ros.demo_session import DemoError, play_through_node
from depthlab_ros.frame_source import SourceError
from depthlab_ros.one_line import one_line
from depthlab_ros.parameter_declaration import ParameterError
from depthlab_ros.player import PlayerParameters
from depthlab_ros.recording import Recording, Summary
from depthlab_ros.shutdown import shut_down
from depthlab_ros.sources import BUNDLED, open_source


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(
        prog="python -m depthlab_ros.demo",
        description="Play a source through depthlab_node over ROS 2 and record what comes out.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--source",
        required=True,
        default=argparse.SUPPRESS,  # none is told
        help="video, image folder, rosbag2, /dev/video0, its number or a link to it, or one that "
        f"comes with the package: {', '.join(BUNDLED)}",
    )
    add("--out", type=Path, default=Path("out/demo"), help="folder for the results")
    add("--duration", type=float, default=30.0, help="seconds to play; 0 = the whole source")
    add("--rate", type=float, default=0.0, help="frames per second; 0 = the source's own")
    parser.set_defaults(bag_topic="")
    add(
        "--bag-topic",
        default=argparse.SUPPRESS,  # said in words
        help="image topic of a bag (default: the first one that is not depth)",
    )
    add("--horizontal-fov-deg", type=float, default=0.0, help="of the camera; 0 = unknown")
    add("--model", default="lite0", help="bundled model, or path of a checkpoint")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the demo."""
    options = parse_arguments(arguments)
    keep_to_this_machine()
    hold_large_images()
    keep_decoders_quiet()
    try:
        player_parameters = parameters_of_player(options)
        seconds, has_truth = _look_at(options)
        with (
            end_of_terminal_interrupts(),
            _open_recording(options.out) as recording,
            tempfile.TemporaryFile(dir=options.out) as file,
        ):
            comparison = Comparison(file) if has_truth else None
            with _ros():
                play_through_node(
                    options.model,
                    options.device,
                    player_parameters,
                    recording,
                    comparison,
                    seconds,
                )
            accuracy = None if comparison is None else _measure(comparison, recording)
            summary = recording.write_overview()
    except (ComparisonError, DemoError, ParameterError, SourceError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # as of a disk that is full
        print(f"error: cannot go on recording: {one_line(error)}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        print("interrupted", file=sys.stderr)
        return 130
    print(format_summary(summary, options.out))
    if accuracy is not None:
        print(f"\n{format_accuracy(accuracy)}")
    return 0


def format_summary(summary: Summary, folder: Path) -> str:
    """Return the figures and files as a table of at most 80 columns, bar a long folder name."""
    rows = [
        ("frames in", f"{summary.frames_in}"),
        ("frames out", f"{summary.frames_out} ({summary.dropped} dropped: newest frame wins)"),
        ("rate", f"{summary.fps:.1f} frames/s"),
        (
            "latency",
            f"{summary.latency_ms_p50:.0f} ms median, {summary.latency_ms_p95:.0f} ms p95",
        ),
        ("segments", f"{summary.segments_per_frame:.1f} per frame"),
        ("model", f"{Path(summary.model).name} on {summary.device}"),
        ("results", f"{folder}/"),
    ]
    rows += [("", name) for name in sorted(p.name for p in folder.iterdir() if p.is_file())]
    return "\n".join(f"{name:<12}{value}" for name, value in rows)


def parameters_of_player(options: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of ``camera_player``.

    Raises:
        ParameterError: If one has a value that it cannot have, before anything is started.
    """
    parameters = {
        "source": options.source,
        "bag_topic": options.bag_topic,
        "duration": options.duration,
        "rate": options.rate,
        "horizontal_fov_deg": options.horizontal_fov_deg,
        "wait_for_subscribers": 2,  # the node and the recorder
    }
    PlayerParameters(**parameters)
    return parameters


def _measure(comparison: Comparison, recording: Recording) -> dict[str, float] | None:
    """Compare with the truth, frame by frame, and draw the video; returns the figures."""
    if not len(comparison):
        print("no frame arrived together with its truth: nothing is measured", file=sys.stderr)
        return None
    print(f"comparing {len(comparison)} frames with their truth", flush=True)
    accuracy = Accuracy()
    for frame in comparison.frames():
        accuracy.update(frame)
        recording.on_annotated(draw_comparison(frame), frame.stamp_ns)
    result = accuracy.result()
    (recording.folder / "accuracy.json").write_text(accuracy_to_json(result), encoding="utf-8")
    return result


def _open_recording(folder: Path) -> Recording:
    try:
        return Recording(folder)
    except OSError as error:
        raise DemoError(f"got '{folder}', expected a folder that can be written") from error


def _look_at(options: argparse.Namespace) -> tuple[float | None, bool]:
    """Return how long the source will play, if that is known, and whether it has truth.

    Raises:
        SourceError: If it cannot be read.
    """
    limit = options.duration or None
    if is_device(options.source):
        return limit, False
    source = open_source(options.source, bag_topic=options.bag_topic)
    if source.frame_count is None:
        return limit, source.has_truth
    length = source.frame_count / (options.rate or source.rate)
    return min(length, limit) if limit else length, source.has_truth


@contextmanager
def _ros() -> Iterator[None]:
    rclpy.init()
    try:
        yield
    finally:
        shut_down()


if __name__ == "__main__":
    sys.exit(main())
