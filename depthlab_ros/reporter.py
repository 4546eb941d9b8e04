# SPDX-License-Identifier: Apache-2.0
"""Tells once a second on ``/diagnostics`` how the node and its cameras are doing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import LifecycleNode

from depthlab_ros.camera import Camera
from depthlab_ros.diagnostics import diagnostics_to_msg, status_to_msg
from depthlab_ros.frame import Frame, InferredFrame, Model
from depthlab_ros.inference_worker import InferenceWorker
from depthlab_ros.memory import device_mib, process_mib

LASTING = 10
"""Reports in a row after which missing images are told in the log, too."""


class Reporter:
    """Publishes the reports of one node.

    Args:
        node: Owner of the topic.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 1)
        self._warned: Counter[str] = Counter()

    def report(
        self,
        state: str,
        failure: str,
        model: Model | None,
        cameras: Sequence[Camera],
        worker: InferenceWorker[Camera, Frame, InferredFrame] | None,
    ) -> None:
        """Publish one report.

        Args:
            state: Of the node.
            failure: Why its last transition failed; empty if it did not.
            model: Its model, None before configure.
            cameras: Its cameras, each of which has a status of its own.
            worker: What works on their frames, None unless the node is active.
        """
        name = self._node.get_fully_qualified_name()
        device = str(model.device) if model is not None else ""
        common = {"state": state, "model": model.name if model else "", "device": device}
        memory = {
            "memory_mib": process_mib(),
            "device_memory_mib": device_mib(model.device) if model is not None else None,
        }
        common |= {key: f"{mib:.0f}" for key, mib in memory.items() if mib is not None}
        statuses = []
        for camera in cameras:
            warning = "" if worker is None else self._warning(camera, worker)
            statuses.append(
                status_to_msg(
                    f"{name}: {camera.name}" if camera.name else name,
                    level=_level(failure, warning),
                    device=device,
                    message=failure or warning or state,
                    values=common | camera.values(),
                )
            )
        if not statuses:
            statuses = [
                status_to_msg(
                    name,
                    level=_level(failure),
                    device=device,
                    message=failure or state,
                    values=common,
                )
            ]
        self._publisher.publish(
            diagnostics_to_msg(statuses, self._node.get_clock().now().to_msg())
        )

    def _warning(
        self, camera: Camera, worker: InferenceWorker[Camera, Frame, InferredFrame]
    ) -> str:
        camera.health.on_dropped(worker.replaced(camera))
        camera.mend_losses()
        around = camera.surroundings(worker.busy_stage, worker.busy_s)
        missing = camera.health.input_warning(around)
        # Whoever does not look at diagnostics would see silence.
        self._warned[camera.name] = self._warned[camera.name] + 1 if missing else 0
        if self._warned[camera.name] == LASTING:
            self._node.get_logger().warning(missing)
        unscaled = camera.health.scale_warning(around)
        if unscaled and not camera.health.told_unscaled:
            camera.health.told_unscaled = True
            camera.logger.warning(unscaled)
        return missing or camera.health.warning(around)


def _level(failure: str, warning: str = "") -> bytes:
    if failure:
        return bytes(DiagnosticStatus.ERROR)
    return bytes(DiagnosticStatus.WARN if warning else DiagnosticStatus.OK)
