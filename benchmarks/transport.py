# SPDX-License-Identifier: Apache-2.0
"""How many large images get lost between two processes, and how late the others are.

    python -m benchmarks.transport

A sender publishes images at 30 per second, a receiver takes them as ``depthlab_node`` does, with a
queue of one; both are processes of their own. Lost is what was never taken, be it
lost on its way or replaced by a newer one while it waited. Prints two tables, within a minute.
"""

from __future__ import annotations

import argparse
import array
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import rclpy
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from depthlab_ros.conversions import stamp_from_ns, stamp_to_ns

SIZES = {"640x480": (640, 480), "1280x720": (1280, 720), "1920x1080": (1920, 1080)}
RELIABILITIES = {
    "best effort": ReliabilityPolicy.BEST_EFFORT,
    "reliable": ReliabilityPolicy.RELIABLE,
}
PROFILE = Path(__file__).parents[1] / "config" / "fastdds.xml"
_WITH_PROFILE = {"FASTRTPS_DEFAULT_PROFILES_FILE": str(PROFILE)}


class Settings(NamedTuple):
    """What the environments of the two processes hold beside what is there."""

    sender: dict[str, str]
    receiver: dict[str, str]


def _both(**environment: str) -> Settings:
    return Settings(environment, environment)


SETTINGS = {
    "default": _both(),
    "SHM": _both(FASTDDS_BUILTIN_TRANSPORTS="SHM"),
    "UDPv4": _both(FASTDDS_BUILTIN_TRANSPORTS="UDPv4"),
    "LARGE_DATA": _both(FASTDDS_BUILTIN_TRANSPORTS="LARGE_DATA"),
    "config/fastdds.xml, receiver alone": Settings({}, _WITH_PROFILE),
    "config/fastdds.xml": _both(**_WITH_PROFILE),
}
RATE_HZ = 30.0
CASES = [(size, reliability) for reliability in RELIABILITIES for size in SIZES]


def topic_of(case: tuple[str, str]) -> str:
    """Return the topic of a size and reliability."""
    return f"images_{case[0]}_{case[1].replace(' ', '_')}"


def qos_of(case: tuple[str, str], depth: int) -> QoSProfile:
    """Return the QoS of a size and reliability with a queue of ``depth``."""
    return QoSProfile(
        reliability=RELIABILITIES[case[1]], history=HistoryPolicy.KEEP_LAST, depth=depth
    )


def send(frames: int) -> None:
    """Publish ``frames`` images for each case, one case after the other."""
    node = rclpy.create_node("sender")
    publishers = {
        case: node.create_publisher(Image, topic_of(case), qos_of(case, 10)) for case in CASES
    }
    for publisher in publishers.values():
        while publisher.get_subscription_count() == 0:
            time.sleep(0.01)
    time.sleep(0.5)  # until the receiver knows of the sender, too
    for case, publisher in publishers.items():
        width, height = SIZES[case[0]]
        image = Image(width=width, height=height, encoding="rgb8", step=width * 3)
        image.data = array.array("B", bytes(width * height * 3))
        due = time.monotonic()
        for _ in range(frames):
            image.header.stamp = stamp_from_ns(time.time_ns())
            publisher.publish(image)
            due += 1.0 / RATE_HZ
            time.sleep(max(due - time.monotonic(), 0.0))
        time.sleep(0.3)
    node.destroy_node()


def receive(frames: int, sender_settings: dict[str, str]) -> dict[str, list[float]]:
    """Start a sender and return the milliseconds from publishing to callback, by topic."""
    node: Node = rclpy.create_node("receiver")
    latencies: dict[str, list[float]] = {topic_of(case): [] for case in CASES}

    def listen(case: tuple[str, str]) -> None:
        of_case = latencies[topic_of(case)]

        def take(msg: Image) -> None:
            of_case.append((time.time_ns() - stamp_to_ns(msg.header.stamp)) / 1e6)

        node.create_subscription(Image, topic_of(case), take, qos_of(case, 1))

    for case in CASES:
        listen(case)
    sender = subprocess.Popen(
        [*_this_module(), "--role", "send", "--frames", str(frames)],
        env=_environment(sender_settings),
    )
    while sender.poll() is None:
        rclpy.spin_once(node, timeout_sec=0.1)
    node.destroy_node()
    return latencies


def measure(settings: Settings, frames: int) -> dict[str, list[float]]:
    """Return the latencies by topic of a receiver and a sender with ``settings``."""
    command = [*_this_module(), "--role", "receive", "--frames", str(frames)]
    command += ["--sender-settings", json.dumps(settings.sender)]
    environment = _environment(settings.receiver)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"receiver ended with {done.returncode}: {done.stderr.strip()}")
    result: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return result


def cell(latencies: list[float], frames: int) -> str:
    """Return what is told of one case: losses, median and longest latency."""
    lost = f"{100.0 * (1.0 - len(latencies) / frames):3.0f} % lost"
    if not latencies:
        return lost
    return f"{lost}, {statistics.median(latencies):.0f}/{max(latencies):.0f} ms"


def _environment(settings: dict[str, str]) -> dict[str, str]:
    others = {name for pair in SETTINGS.values() for name in {**pair.sender, **pair.receiver}}
    kept = {name: value for name, value in os.environ.items() if name not in others}
    return kept | {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"} | settings


def _this_module() -> list[str]:
    return [sys.executable, "-m", "benchmarks.transport"]


def main(args: list[str] | None = None) -> int:
    """Measure all transports and print a row for each, a column for each case."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.transport",
        description=(__doc__ or "").split("\n\n", maxsplit=1)[0],
    )
    parser.add_argument("--frames", type=int, default=30, help="images of each case (default: 30)")
    parser.add_argument("--role", choices=["send", "receive"], help=argparse.SUPPRESS)
    parser.add_argument("--sender-settings", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args(args)
    if options.role is not None:
        rclpy.init()
        if options.role == "send":
            send(options.frames)
        else:
            print(json.dumps(receive(options.frames, options.sender_settings)), flush=True)
        rclpy.try_shutdown()
        return 0
    print(f"{options.frames} images of each case at {RATE_HZ:.0f}/s; median/longest latency")
    measured = {name: measure(values, options.frames) for name, values in SETTINGS.items()}
    for reliability in RELIABILITIES:
        print(f"\n| {reliability} | {' | '.join(SIZES)} |\n|{' --- |' * (1 + len(SIZES))}")
        for name, latencies in measured.items():
            cells = [
                cell(latencies[topic_of((size, reliability))], options.frames) for size in SIZES
            ]
            print(f"| `{name}` | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
