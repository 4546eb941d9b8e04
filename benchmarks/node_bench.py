# SPDX-License-Identifier: Apache-2.0
"""The node end to end: a process of its own, images in and segments and annotated images out.

What is timed is what a robot waits for: from just before a camera publishes an image until both
answers have come back, DDS in both directions included.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from depthlab_msgs.msg import SegmentArray
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from depthlab_core.checkpoint import load_checkpoint, save_checkpoint
from depthlab_ros.child_process import hold_large_images, keep_to_this_machine, run_child
from depthlab_ros.conversions import image_to_msg, stamp_from_ns, stamp_to_ns
from depthlab_ros.memory import process_mib

CAMERAS = ((480, 360), (1280, 720), (1920, 1080))
"""Width and height of the images."""
INPUTS = ((512, 256), (1024, 512))
"""Width and height whose product is the network input's area; it keeps the image's shape."""
SATURATED = 3
"""Frames under way that keep all of the node busy: one waits, one is inferred, one goes out."""
_WARM_UP = 10
_MEMORY_SAMPLES = 20
_FIRST_SAMPLE = 2
"""Before, pools and shared memory still fill."""
_PATIENCE_S = 120.0
_QOS = QoSProfile(depth=5)
_ROOT = Path(__file__).parents[1]
_PICTURE = _ROOT / "docs" / "images" / "demo.jpg"

Report = Callable[[str, dict[str, float]], None]


class NodeBenchError(Exception):
    """The node did not answer."""


class Camera(Node):
    """Publishes one picture again and again, and waits for what the node makes of it."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__("bench_camera")
        self._message = image_to_msg(street(width, height), Header(frame_id="camera"))
        self._publisher = self.create_publisher(Image, "image_raw", _QOS)
        self._answers = {
            kind: self.create_subscription(kind, topic, self._on_answer, _QOS)
            for kind, topic in ((SegmentArray, "segments"), (Image, "image_annotated"))
        }
        self._sent: dict[int, float] = {}
        self._half_done: set[int] = set()
        self._latencies: list[float] = []
        self.lost = 0

    def connect(self) -> None:
        """Wait until the node is there and has answered; its first answer takes longest."""
        self._wait(
            lambda: (
                self._publisher.get_subscription_count() > 0
                and all(answer.get_publisher_count() for answer in self._answers.values())
            )
        )
        asked = 0.0
        while not self._latencies:
            # The node may know of this process later than this process of the node.
            if time.monotonic() - asked > 5.0:
                self._send()
                asked = time.monotonic()
            self._wait(lambda: bool(self._latencies), 5.0, fails=False)
        self.drive(_WARM_UP, 1)

    def drive(self, frames: int, under_way: int) -> tuple[list[float], float]:
        """Send a frame whenever fewer than ``under_way`` are, until ``frames`` have come back.

        Returns:
            Milliseconds of each frame, and frames per second.
        """
        self._sent.clear()
        self._half_done.clear()
        self._latencies = []
        start = time.perf_counter()
        for count in range(1, frames + 1):
            while len(self._sent) < under_way:
                self._send()
            self._wait(lambda count=count: len(self._latencies) >= count)  # type: ignore[misc]
        return self._latencies, frames / (time.perf_counter() - start)

    def _send(self) -> None:
        stamp = self.get_clock().now().nanoseconds
        self._message.header.stamp = stamp_from_ns(stamp)
        self._sent[stamp] = time.perf_counter()
        self._publisher.publish(self._message)

    def _on_answer(self, message: SegmentArray | Image) -> None:
        stamp = stamp_to_ns(message.header.stamp)
        if stamp not in self._sent:
            return
        if stamp not in self._half_done:
            self._half_done.add(stamp)
            return
        self._latencies.append((time.perf_counter() - self._sent[stamp]) * 1e3)
        # Frames come back in their order: what was sent before has been replaced by this one.
        older = [sent for sent in self._sent if sent <= stamp]
        self.lost += len(older) - 1
        for sent in older:
            del self._sent[sent]
        self._half_done.discard(stamp)

    def _wait(
        self, is_so: Callable[[], bool], patience: float = _PATIENCE_S, fails: bool = True
    ) -> None:
        deadline = time.monotonic() + patience
        while not is_so():
            rclpy.spin_once(self, timeout_sec=0.1)
            if time.monotonic() > deadline:
                if fails:
                    raise NodeBenchError(f"the node has not answered for {patience:.0f} s")
                return


@dataclass
class Session:
    """A node at work on a camera's images.

    Attributes:
        camera: The camera.
        pid: Process id of the node.
        times: By frame, once the node has ended: see ``timed_node``.
    """

    camera: Camera
    pid: int
    times: list[dict[str, float]] = field(default_factory=list)


@contextmanager
def node(model: str, width: int, height: int) -> Iterator[Session]:
    """Run a node with a model, a name or path, and connect a camera of a size to it."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "times.json"
        parameters = {
            "model": model,
            "report": str(report),
            # A lost image would be a frame of another benchmark.
            "qos_overrides./image_raw.subscription.reliability": "reliable",
        }
        rclpy.init()
        try:
            with run_child("benchmarks.timed_node", parameters) as process:
                session = Session(Camera(width, height), process.pid)
                session.camera.connect()
                yield session
                session.camera.destroy_node()
            session.times = json.loads(report.read_text(encoding="utf-8"))
        finally:
            rclpy.try_shutdown()


def street(width: int, height: int) -> NDArray[np.uint8]:
    """Return a picture of a street, RGB, uint8 ``(height, width, 3)``."""
    picture = np.asarray(cv2.imread(str(_PICTURE)), np.uint8)
    resized = cv2.resize(picture, (width, height))
    return np.asarray(cv2.cvtColor(resized, cv2.COLOR_BGR2RGB), np.uint8)


@contextmanager
def checkpoint_for(width: int, height: int) -> Iterator[str]:
    """Make a copy of ``lite0`` that matches images to another area."""
    checkpoint = load_checkpoint("lite0")
    config = replace(
        checkpoint.config, input=replace(checkpoint.config.input, size=(height, width))
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"lite0-{width}x{height}.safetensors"
        state = checkpoint.network.state_dict()
        save_checkpoint(path, state, config, checkpoint.labels, checkpoint.provenance)
        yield str(path)


def bench_end_to_end(model: str, width: int, height: int, frames: int) -> dict[str, float]:
    """Latency of frames one at a time, throughput of as many as the node manages, peak memory."""
    with node(model, width, height) as session:
        alone, _ = session.camera.drive(frames, 1)
        _, fps = session.camera.drive(frames, SATURATED)
        peak = _peak_mib(session.pid)
    stages = session.times[-2 * frames : -frames]
    return {
        **_quantiles(alone),
        "fps": round(fps, 1),
        "replaced": session.camera.lost,
        "peak_mib": peak,
        **{
            f"{name}_p50": round(float(np.median([t[name] for t in stages])), 2)
            for name in stages[0]
        },
    }


def bench_overhead(width: int, height: int, frames: int) -> dict[str, float]:
    """All that the node does but the model, from arrival to published, by a stub."""
    with node("stub", width, height) as session:
        session.camera.drive(frames, 1)
        peak = _peak_mib(session.pid)
    times = session.times[-frames:]
    medians = {
        f"{name}_p50": round(float(np.median([t[name] for t in times])), 2) for name in times[0]
    }
    return {**_quantiles([t["overhead"] for t in times]), **medians, "peak_mib": peak}


def bench_memory(model: str, width: int, height: int, frames: int) -> dict[str, float]:
    """Growth of the node's memory from three twentieths of many frames to the last."""
    sizes = []
    with node(model, width, height) as session:
        for _ in range(_MEMORY_SAMPLES):
            _, fps = session.camera.drive(max(frames // _MEMORY_SAMPLES, 1), SATURATED)
            sizes.append(process_mib(session.pid) or 0.0)
        peak = _peak_mib(session.pid)
    first, last = sizes[_FIRST_SAMPLE], sizes[-1]
    return {
        "first_mib": round(first, 1),
        "last_mib": round(last, 1),
        "growth_percent": round(100 * (last / first - 1), 2),
        "fps": round(fps, 1),
        "peak_mib": peak,
    }


def bench_node(
    frames: int,
    memory_frames: int,
    *,
    cameras: tuple[tuple[int, int], ...] = CAMERAS,
    inputs: tuple[tuple[int, int], ...] = INPUTS,
) -> dict[str, Any]:
    """Run all of it and print a table.

    Args:
        frames: For each figure; 0 leaves latency, throughput and overhead out.
        memory_frames: For each measurement of memory; 0 leaves them out.
        cameras: Width and height of the images.
        inputs: Width and height of the network inputs.

    Returns:
        Results by title.
    """
    keep_to_this_machine()
    # With Fast DDS's own 512 KiB of shared memory it would be lost pieces that are timed, which a
    # writer repairs after its heartbeat of three seconds.
    hold_large_images()
    results: dict[str, Any] = {}

    def record(title: str, **found: float) -> None:
        results[title] = found
        columns = (f"{found[key]:>9.1f}" if key in found else f"{'':>9}" for key in _COLUMNS)
        print(f"{title:<34.34}{''.join(columns)}", flush=True)

    print(f"{'node':<34}" + "".join(f"{name:>9}" for name in _COLUMNS.values()))
    if frames:
        for width, height in cameras:
            record(f"overhead {width}x{height}", **bench_overhead(width, height, frames))
    for input_width, input_height in inputs if frames else ():
        with checkpoint_for(input_width, input_height) as model:
            for width, height in cameras:
                title = f"{width}x{height}, lite0 at {input_width}x{input_height}"
                record(title, **bench_end_to_end(model, width, height, frames))
    for model, (width, height) in (("stub", cameras[-1]), ("lite0", cameras[0])):
        if memory_frames:
            title = f"{memory_frames} frames {width}x{height}, {model}"
            record(title, **bench_memory(model, width, height, memory_frames))
    return results


_COLUMNS = {
    "p50": "p50 ms",
    "p95": "p95 ms",
    "fps": "fps",
    "peak_mib": "peak MiB",
    "growth_percent": "growth %",
}


def _quantiles(times: list[float]) -> dict[str, float]:
    p50, p95 = np.quantile(times, (0.5, 0.95))
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}


def _peak_mib(pid: int) -> float:
    """Return the most memory that a process has held."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return float("nan")
