# SPDX-License-Identifier: Apache-2.0
"""The node that ``benchmarks.node`` measures, in a process of its own.

Usage: ``python -m benchmarks.node_child MODEL REPORT``. MODEL is ``stub`` or the area of lite0's
input, such as ``512x256``. At SIGINT it writes what it measured from within to the file REPORT.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import ExternalShutdownException
from rclpy.parameter import Parameter

from benchmarks.scenes import street_scene
from depthlab_core import CITYSCAPES, DepthLab, Prediction
from depthlab_core.checkpoint import load_checkpoint
from depthlab_core.config import PostprocessConfig
from depthlab_core.cpu.interpret import interpret_on_cpu
from depthlab_core.cpu.tint import compile_tint
from depthlab_ros.frame import Model
from depthlab_ros.health import Health
from depthlab_ros.memory import keep_freed_memory, process_mib
from depthlab_ros.node import DepthLabNode

_THINGS = 30
_MEMORY_EVERY = 50


class StubModel:
    """Answers at once, with a scene of some thirty things made for the image's size."""

    name = "stub"
    device = "cpu"
    labels = CITYSCAPES

    def __init__(self) -> None:
        self.postprocess = PostprocessConfig()
        self._answers: dict[tuple[int, ...], Prediction] = {}
        compile_tint()

    def predict(self, image: NDArray[np.uint8], focal_length: float | None = None) -> Prediction:
        """Return the scene of the image's size."""
        size = image.shape[:2]
        if size not in self._answers:
            self._answers[size] = self._scene(*size)
        return self._answers[size]

    def _scene(self, height: int, width: int) -> Prediction:
        found = interpret_on_cpu(
            street_scene(height, width, centers=_THINGS),
            height,
            width,
            labels=self.labels,
            postprocess=self.postprocess,
            depth_scale=1.0,
            mask_undefined=False,
        )
        return Prediction(
            panoptic_map=found.panoptic_map,
            semantic_map=found.semantic_map,
            id_map=found.id_map,
            depth=found.depth,
            segments=found.segments,
            focal_length=1000.0,
            focal_length_assumed=False,
            timings={},
        )


def load_model(name: str) -> Model:
    """Return the stub, or lite0 with another area of its input: ``WIDTHxHEIGHT``."""
    if name == "stub":
        return StubModel()
    width, height = map(int, name.split("x"))
    checkpoint = load_checkpoint("lite0")
    size = replace(checkpoint.config.input, size=(height, width))
    return DepthLab(replace(checkpoint, config=replace(checkpoint.config, input=size)))


class Report(Health):
    """Keeps the stages of every frame, and the memory now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[dict[str, float]] = []
        self.memory_mib: list[float] = []

    def on_published(self, timings: Mapping[str, float], latency_ms: float | None) -> None:
        """Keep a frame's stages."""
        super().on_published(timings, latency_ms)
        self.frames.append(dict(timings))
        if len(self.frames) % _MEMORY_EVERY == 0:
            self.memory_mib.append(process_mib() or 0.0)


def main(arguments: list[str]) -> None:
    """Run the node until SIGINT."""
    name, path = arguments
    keep_freed_memory()
    rclpy.init()
    model = load_model(name)
    reliable = Parameter("qos_overrides./image_raw.subscription.reliability", value="reliable")
    node = DepthLabNode(load_model=lambda _, __: model, parameter_overrides=[reliable])
    node.start()
    report = node.cameras[0].health = Report()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    result = {"frames": report.frames, "memory_mib": report.memory_mib}
    Path(path).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
