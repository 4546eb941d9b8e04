# SPDX-License-Identifier: Apache-2.0
"""``python -m benchmarks.node``: the node over DDS, image message in to outputs received.

Camera and listener are one process, the node is another; the image is raw rgb8. A listener of
``segments`` and ``image_annotated`` waits for both of a frame. Three questions:

- overhead: what the node adds to a model, by a stub that answers at once;
- latency at ten images a second, and the rate when images come faster than they are worked on;
- memory over many frames.
"""

from __future__ import annotations

import argparse
import array
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import domain_coordinator
import numpy as np
import rclpy
from depthlab_msgs.msg import SegmentArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image

CAMERAS = ((480, 360), (1280, 720), (1920, 1080))
"""Width and height of the images."""
INPUTS = ("512x256", "1024x512")
"""Areas of lite0's input."""
_WARM_UP = 10
_START_TIMEOUT_S = 180.0
_FRAME_TIMEOUT_S = 60.0


class Camera(Node):  # type: ignore[misc]
    """Publishes images of one size and notes when the answers to each have come."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__("bench_camera")
        rng = np.random.default_rng(0)
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        self._msg = Image(height=height, width=width, encoding="rgb8", step=width * 3)
        self._msg.data = array.array("B", image.tobytes())
        self._publisher = self.create_publisher(Image, "image_raw", 1)
        self._changed = threading.Condition()
        self._sent: dict[int, float] = {}
        self._answers: dict[int, int] = {}
        self.latencies: dict[int, float] = {}
        for kind, topic in ((SegmentArray, "segments"), (Image, "image_annotated")):
            self.create_subscription(kind, topic, self._on_answer, 5)
        self._number = 0

    def wait_for_node(self) -> None:
        """Wait until the node listens and both outputs are offered."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        topics = ("segments", "image_annotated")
        while not (
            self._publisher.get_subscription_count() and all(map(self.count_publishers, topics))
        ):
            if time.monotonic() > deadline:
                raise SystemExit("error: the node did not come up")
            time.sleep(0.05)
        time.sleep(0.5)

    def publish(self) -> int:
        """Publish the next image and return its number."""
        self._number += 1
        self._msg.header.stamp.sec = self._number
        self._sent[self._number] = time.perf_counter()
        self._publisher.publish(self._msg)
        return self._number

    def answered(self, number: int) -> None:
        """Wait until a frame's answers have come."""
        with self._changed:
            if not self._changed.wait_for(lambda: number in self.latencies, _FRAME_TIMEOUT_S):
                raise SystemExit(f"error: image {number} was not answered")

    def _on_answer(self, msg: SegmentArray | Image) -> None:
        number = msg.header.stamp.sec
        with self._changed:
            self._answers[number] = self._answers.get(number, 0) + 1
            if self._answers[number] == 2:
                self.latencies[number] = (time.perf_counter() - self._sent[number]) * 1e3
                self._changed.notify_all()


@contextmanager
def node_of(model: str, width: int, height: int) -> Iterator[tuple[Camera, dict[str, Any]]]:
    """Run a node; when the block is left, its own report is in the dictionary."""
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [sys.executable, "-m", "benchmarks.node_child", model, str(path)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        camera = Camera(width, height)
        executor = SingleThreadedExecutor()
        executor.add_node(camera)
        thread = threading.Thread(target=executor.spin, daemon=True)
        thread.start()
        try:
            camera.wait_for_node()
            yield camera, report
        finally:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
            executor.shutdown()
            thread.join()
            camera.destroy_node()
        if not path.exists():
            raise SystemExit(f"error: the node failed:\n{said}")
        report |= json.loads(path.read_text(encoding="utf-8"))


def bench_overhead(width: int, height: int, frames: int) -> dict[str, Any]:
    """Return what the node adds to a model, by stage; ``node`` is all of it together."""
    with node_of("stub", width, height) as (camera, report):
        for _ in range(_WARM_UP + frames):
            camera.answered(camera.publish())
    stages = ("waiting", "decode", "handover", "tracking", "publish")
    measured = report["frames"][_WARM_UP:]
    times = {name: [frame[name] for frame in measured] for name in stages}
    times = {"node": [sum(frame[name] for name in stages) for frame in measured], **times}
    return {name: _quantiles(values) for name, values in times.items()}


def bench_pace(model: str, width: int, height: int, frames: int) -> dict[str, Any]:
    """Return latency at ten images a second, and frames a second at more than it can do."""
    with node_of(model, width, height) as (camera, _):
        for _ in range(_WARM_UP):
            camera.answered(camera.publish())
        camera.latencies.clear()
        for _ in range(frames):
            began = time.monotonic()
            last = camera.publish()
            time.sleep(max(0.1 - (time.monotonic() - began), 0.0))
        camera.answered(last)
        latency = _quantiles(list(camera.latencies.values()))
        answered = len(camera.latencies)
        camera.latencies.clear()
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < frames / 10:
            camera.publish()
            time.sleep(1 / 60)
        rate = len(camera.latencies) / elapsed
    return latency | {"answered": answered, "of": frames, "fps": round(rate, 1)}


def bench_memory(model: str, frames: int) -> dict[str, Any]:
    """Return the node's memory after a quarter of the frames and at the end."""
    with node_of(model, 640, 480) as (camera, report):
        for _ in range(frames):
            camera.answered(camera.publish())
    samples = report["memory_mib"]
    early, late = samples[len(samples) // 4], samples[-1]
    growth = 100 * (late / early - 1)
    return {"early_mib": early, "late_mib": late, "growth_percent": round(growth, 2)}


def _quantiles(values: list[float]) -> dict[str, float]:
    return {
        "min": round(min(values), 2),
        "p50": round(float(np.median(values)), 2),
        "p95": round(float(np.quantile(values, 0.95)), 2),
    }


def bench_node(
    cameras: tuple[tuple[int, int], ...] = CAMERAS,
    inputs: tuple[str, ...] = INPUTS,
    *,
    frames: int = 100,
    memory_frames: int = 2000,
) -> dict[str, Any]:
    """Run all of it and print a table."""
    results: dict[str, Any] = {}
    with domain_coordinator.domain_id() as domain:
        os.environ |= {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        rclpy.init()
        try:
            print(f"{'':<30} {'':<12} {'p50 ms':>8} {'p95 ms':>8} {'frames/s':>9}")
            for width, height in cameras:
                title = f"node overhead {width}x{height}"
                results[title] = bench_overhead(width, height, frames)
                for name, t in results[title].items():
                    print(f"{title:<30} {name:<12} {t['p50']:>8.1f} {t['p95']:>8.1f}", flush=True)
            for model in inputs:
                for width, height in cameras:
                    title = f"node with lite0 {width}x{height}"
                    t = results[f"{title} at {model}"] = bench_pace(model, width, height, frames)
                    print(
                        f"{title:<30} {model:<12} {t['p50']:>8.1f} {t['p95']:>8.1f} "
                        f"{t['fps']:>9.1f}",
                        flush=True,
                    )
            for model in ("stub", *inputs[:1]) if memory_frames else ():
                t = results[f"memory {model}"] = bench_memory(model, memory_frames)
                print(
                    f"memory over {memory_frames} frames, {model}: {t['early_mib']:.0f} MiB after "
                    f"a quarter, {t['growth_percent']:+.1f} % at the end",
                    flush=True,
                )
        finally:
            rclpy.try_shutdown()
    return results


def main() -> None:
    """Run it alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100, help="per figure")
    parser.add_argument("--memory-frames", type=int, default=2000, help="0: not measured")
    parser.add_argument("--largest", type=int, default=1920, help="widest image")
    parser.add_argument("--inputs", nargs="*", default=INPUTS, help="areas of lite0's input")
    parser.add_argument("--out", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    results = bench_node(
        tuple(size for size in CAMERAS if size[0] <= options.largest),
        tuple(options.inputs),
        frames=options.frames,
        memory_frames=options.memory_frames,
    )
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
