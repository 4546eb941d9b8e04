# SPDX-License-Identifier: Apache-2.0
"""What large messages cost in Python, and what a node costs to which nobody listens.

    python -m benchmarks.messages

Fills, reads and publishes an rgb8 image of 1920x1080 (6.2 MB), ours against the obvious forms, and
takes the CPU time of ``depthlab_node`` while images come in that nobody wants the results of.
"""

from __future__ import annotations

import argparse
import array
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from benchmarks.clock import in_turns
from depthlab_core import CITYSCAPES
from depthlab_core.config import PostprocessConfig
from depthlab_ros.conversions import image_to_msg
from depthlab_ros.image_bridge import image_from_msg
from depthlab_ros.node import DepthLabNode

HEIGHT, WIDTH = 1080, 1920
PLAYED_S = 4.0


def filling(image: NDArray[np.uint8], rounds: int) -> dict[str, dict[str, float]]:
    """Time the ways to get an array into a message (rosidl_python#156)."""

    def assigned_array() -> Image:
        data = array.array("B")
        data.frombytes(image.data.cast("B"))
        return assign(data)

    def assign(data: object) -> Image:
        msg = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=WIDTH * 3)
        msg.data = data
        return msg

    return in_turns(
        {
            "fill: ours": lambda: image_to_msg(image, Header()),
            "fill: array.array assigned": assigned_array,
            "fill: tobytes() assigned": lambda: assign(image.tobytes()),
            "fill: list assigned": lambda: assign(image.flatten().tolist()),
        },
        rounds,
    )


def reading(msg: Image, rounds: int) -> dict[str, dict[str, float]]:
    """Time the ways to get an array out of a message."""
    return in_turns(
        {
            "read: ours": lambda: image_from_msg(msg),
            "read: np.array(list(data))": lambda: np.array(list(msg.data), dtype=np.uint8),
        },
        rounds,
    )


def publishing(msg: Image, rounds: int) -> dict[str, dict[str, float]]:
    """Time ``publish`` with one reliable subscriber that is another DDS participant."""
    contexts = [Context(), Context()]
    for context in contexts:
        rclpy.init(context=context)
    sender, receiver = (rclpy.create_node(f"n{i}", context=c) for i, c in enumerate(contexts))
    publisher = sender.create_publisher(Image, "benchmark_image", QoSProfile(depth=1))
    receiver.create_subscription(Image, "benchmark_image", lambda msg: None, QoSProfile(depth=1))
    stop = _spin(receiver)
    while publisher.get_subscription_count() == 0:
        time.sleep(0.01)
    times = in_turns({"publish": lambda: publisher.publish(msg)}, rounds)
    stop()
    for context in contexts:
        rclpy.try_shutdown(context=context)
    return times


def idle_cpu_percent() -> float:
    """Return the share of one core that a node takes at 30 images of 640x480 a second.

    It is active, gets every image, and has nobody to work for.
    """
    model = SimpleNamespace(
        name="none", device="cpu", labels=CITYSCAPES, postprocess=PostprocessConfig()
    )
    rclpy.init()
    node = DepthLabNode(load_model=lambda *_: model)
    node.start()
    stop = _spin(node)
    with tempfile.TemporaryDirectory() as folder:
        cv2.imwrite(str(Path(folder) / "0.png"), np.zeros((480, 640, 3), np.uint8))
        parameters = [f"source:={folder}", "rate:=30.0", "loop:=true", "wait_for_subscribers:=1"]
        options = [word for parameter in parameters for word in ("-p", parameter)]
        player = subprocess.Popen(
            [sys.executable, "-m", "depthlab_ros.player", "--ros-args", *options]
        )
        while node.cameras[0].health.received.total == 0:
            time.sleep(0.01)
        before, start = time.process_time(), time.monotonic()
        time.sleep(PLAYED_S)
        share = (time.process_time() - before) / (time.monotonic() - start)
        player.terminate()
        player.wait()
    stop()
    rclpy.try_shutdown()
    return 100.0 * share


def _spin(node: Node) -> Callable[[], None]:
    """Let a thread execute a node; what is returned ends both."""
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()

    def stop() -> None:
        executor.shutdown(timeout_sec=5.0)
        thread.join()
        node.destroy_node()

    return stop


def main(args: list[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.messages",
        description=(__doc__ or "").split("\n\n", maxsplit=1)[0],
    )
    parser.add_argument("--rounds", type=int, default=10, help="runs of each (default: 10)")
    rounds = parser.parse_args(args).rounds
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    msg = image_to_msg(image, Header())
    np.testing.assert_array_equal(image_from_msg(msg), image)
    print(f"{WIDTH}x{HEIGHT} rgb8, {rounds} rounds\n\n| | median ms | 95 % ms |\n|---|---|---|")
    for rows in (filling(image, rounds), reading(msg, rounds), publishing(msg, rounds)):
        for name, times in rows.items():
            print(f"| {name} | {times['p50']} | {times['p95']} |")
    print(f"\nnode without subscribers, 640x480 at 30/s: {idle_cpu_percent():.1f} % of one core")
    return 0


if __name__ == "__main__":
    sys.exit(main())
