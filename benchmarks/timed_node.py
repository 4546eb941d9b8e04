# SPDX-License-Identifier: Apache-2.0
"""``depthlab_node`` that keeps the time of every frame, and can do without a model.

Parameter ``report``: the JSON file that gets, for each published frame, milliseconds by stage and
``overhead``, from the arrival of the message until all was published. Parameter ``model``:
``stub`` answers every image at once with one made-up street of its size.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import ExternalShutdownException

from benchmarks.scenes import street_scene
from depthlab_core import CITYSCAPES, DepthLab, Prediction
from depthlab_core.config import PostprocessConfig
from depthlab_core.cpu.interpret import interpret_on_cpu
from depthlab_core.cpu.tint import compile_tint
from depthlab_ros.camera import Camera
from depthlab_ros.frame import InferredFrame, Model
from depthlab_ros.memory import keep_freed_memory
from depthlab_ros.node import DepthLabNode
from depthlab_ros.shutdown import shut_down

_THINGS = 20


class StubModel:
    """Takes no time but for the first image of a size."""

    name, device, labels = "stub", "cpu", CITYSCAPES

    def __init__(self) -> None:
        self.postprocess = PostprocessConfig()
        self._predictions: dict[tuple[int, int], Prediction] = {}
        compile_tint()

    def warm_up(self, height: int, width: int, images: int = 1) -> None:
        """Make the street of a size."""
        self._predictions[height, width] = _street(height, width)

    def predict_batch(
        self, images: Sequence[NDArray[np.uint8]], focal_lengths: Sequence[float | None]
    ) -> list[Prediction]:
        """Return the street of each image's size."""
        for height, width in {image.shape[:2] for image in images} - self._predictions.keys():
            self.warm_up(height, width)
        return [replace(self._predictions[image.shape[:2]]) for image in images]


def _street(height: int, width: int) -> Prediction:
    found = interpret_on_cpu(
        street_scene(height, width, centers=_THINGS),
        height,
        width,
        labels=CITYSCAPES,
        postprocess=PostprocessConfig(),
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
        focal_length_assumed=True,
        timings={},
    )


def load_model(name: str, device: str, backend: str, precision: str) -> Model:
    """Return the stub, or the model of another name or path."""
    return StubModel() if name == "stub" else DepthLab.load(name, device, backend, precision)


class TimedNode(DepthLabNode):
    """The node, and a clock at its end."""

    def __init__(self) -> None:
        super().__init__(load_model=load_model)
        self.report = Path(self.declare_parameter("report", "").value)
        self.times: list[dict[str, float]] = []

    def _publish(self, camera: Camera, inferred: InferredFrame) -> None:
        super()._publish(camera, inferred)
        overhead = (time.perf_counter() - inferred.frame.arrived) * 1e3
        self.times.append({**camera.health.timings, "overhead": overhead})


def main() -> None:
    """Run until interrupted, then write the report."""
    keep_freed_memory()
    rclpy.init()
    node = TimedNode()
    try:
        node.start()
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        shut_down()
    node.report.write_text(json.dumps(node.times), encoding="utf-8")


if __name__ == "__main__":
    main()
