# SPDX-License-Identifier: Apache-2.0
"""What ``depthlab_node`` reports on ``/diagnostics``."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue


@dataclass
class Health:
    """Counters of one node since it was activated; safe to use from several threads."""

    received: int = 0
    published: int = 0
    failed: int = 0
    last_error: str = ""
    inference_ms: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def on_received(self) -> None:
        """Count a frame that came in."""
        with self._lock:
            self.received += 1

    def on_published(self, inference_ms: float) -> None:
        """Count a frame whose outputs went out, after so many milliseconds in the model."""
        with self._lock:
            self.published += 1
            self.inference_ms = inference_ms

    def on_failed(self, error: str) -> None:
        """Count a frame that was given up."""
        with self._lock:
            self.failed += 1
            self.last_error = error

    def to_msg(
        self, *, stamp: Time, node: str, state: str, model: str, device: str, replaced: int
    ) -> DiagnosticArray:
        """Return the report.

        Args:
            stamp: Now.
            node: Name of the node.
            state: Its lifecycle state.
            model: Name of the loaded model, empty if none is.
            device: Where it runs.
            replaced: Frames that a newer one replaced before the model was free.
        """
        with self._lock:
            values = {
                "state": state,
                "model": model,
                "device": device,
                "frames_received": self.received,
                "frames_published": self.published,
                "frames_replaced": replaced,
                "frames_failed": self.failed,
                "inference_ms": f"{self.inference_ms:.1f}",
                "last_error": self.last_error,
            }
            ok = not self.failed
            message = state if ok else f"{self.failed} frames failed: {self.last_error}"
        status = DiagnosticStatus(
            level=DiagnosticStatus.OK if ok else DiagnosticStatus.WARN,
            name=node,
            hardware_id=device,
            message=message,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        array = DiagnosticArray(status=[status])
        array.header.stamp = stamp
        return array
