# SPDX-License-Identifier: Apache-2.0
"""How one camera's way through the node is doing, and what to warn of; no ROS types."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

WINDOW_S = 5.0
NO_IMAGES_S = 3.0
STUCK_S = 10.0
# Frames may go missing now and then while a GPU warms up or a disk is written.
_TOLERATED_DROPS = 0.1
# So may one on its way; an image in twenty is what a person would see in a video.
_TOLERATED_LOSSES = 0.05
WHAT_AGAINST_LOSSES = (
    "ask for reliable images (qos_overrides.TOPIC.subscription.reliability) or compressed ones; "
    "on one machine, start the camera with FASTRTPS_DEFAULT_PROFILES_FILE (with Fast DDS 3: "
    "FASTDDS_DEFAULT_PROFILES_FILE) set to depthlab_ros's config/fastdds.xml; between machines, "
    "set FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA or raise net.core.rmem_max"
)


class Meter:
    """Counts events, and how many a second there were of late."""

    def __init__(self) -> None:
        self.total = 0
        self.last: float | None = None
        self._times: deque[float] = deque()

    def count(self, now: float) -> None:
        """Count an event at ``now`` seconds."""
        self.total += 1
        self.last = now
        self._times.append(now)
        self._forget(now)

    def recent(self, now: float) -> int:
        """Return the number of events in the last ``WINDOW_S`` seconds."""
        self._forget(now)
        return len(self._times)

    def rate(self, now: float) -> float:
        """Return the events per second of late, 0 where fewer than two are known."""
        self._forget(now)
        if len(self._times) < 2:
            return 0.0
        # To the next one that would be due, so that a source that stops slows down at once.
        gap = (self._times[-1] - self._times[0]) / (len(self._times) - 1)
        return (len(self._times) - 1) / max(
            self._times[-1] - self._times[0] + max(now - self._times[-1] - gap, 0.0), 1e-9
        )

    def _forget(self, now: float) -> None:
        while self._times and self._times[0] < now - WINDOW_S:
            self._times.popleft()


@dataclass(frozen=True)
class Surroundings:
    """What the report needs to know beside the frames themselves.

    Attributes:
        topic: Full name of the image topic.
        camera_info_topic: Full name of the calibration's topic.
        incompatible: Who publishes what cannot be received, and why.
        enabled: Whether images are to be worked on.
        busy_stage: Where the frame under way is, as ``InferenceWorker.busy_stage`` says.
        busy_s: Seconds that it has taken so far.
    """

    topic: str
    camera_info_topic: str
    incompatible: tuple[str, ...]
    enabled: bool
    busy_stage: str
    busy_s: float


def stuck(stage: str, seconds: float) -> str:
    """Return in a few words what takes so long, and how long it has."""
    culprit = "publishing" if stage == "publishing" else "the model"
    return f"{culprit} has been at one frame for {seconds:.0f} s"


@dataclass
class Health:
    """Counters of one camera since the node was activated; safe to use from several threads."""

    clock: Callable[[], float] = time.monotonic
    received: Meter = field(default_factory=Meter)
    published: Meter = field(default_factory=Meter)
    failed: Meter = field(default_factory=Meter)
    dropped: Meter = field(default_factory=Meter)
    lost: Meter = field(default_factory=Meter)
    skipped: int = 0
    last_error: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    latency_ms: float | None = None
    focal_length: str = "unknown"
    is_metric: bool = True
    told_unscaled: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self._start = self.clock()
        self._publisher_since: float | None = None

    def on_received(self) -> None:
        """Count a frame that came in."""
        with self._lock:
            self.received.count(self.clock())

    def on_skipped(self) -> None:
        """Count a frame that was left out because the rate is limited."""
        with self._lock:
            self.skipped += 1

    def on_lost(self, number: int) -> None:
        """Count images that were published and that the middleware lost on their way."""
        with self._lock:
            for _ in range(number):
                self.lost.count(self.clock())

    def on_publishers(self, number: int) -> None:
        """Take over how many publish images now."""
        with self._lock:
            if not number:
                self._publisher_since = None
            elif self._publisher_since is None:
                self._publisher_since = self.clock()

    def on_depth(self, focal_length: str, *, is_metric: bool) -> None:
        """Take over what the depth of the newest frame rests on.

        Args:
            focal_length: In pixels, and where it is from.
            is_metric: Whether the camera is calibrated, or the ground gives the scale.
        """
        with self._lock:
            self.focal_length = focal_length
            self.is_metric = is_metric

    def on_published(self, timings: Mapping[str, float], latency_ms: float | None) -> None:
        """Count a frame whose outputs went out.

        Args:
            timings: Milliseconds by stage.
            latency_ms: From its stamp to now; ``None`` where the stamp is of another clock.
        """
        with self._lock:
            self.published.count(self.clock())
            self.timings = timings
            self.latency_ms = latency_ms

    def on_failed(self, error: str) -> None:
        """Count a frame that was given up."""
        with self._lock:
            self.failed.count(self.clock())
            self.last_error = error

    def on_dropped(self, total: int) -> None:
        """Take over how many frames a newer one replaced since the node was activated."""
        with self._lock:
            while self.dropped.total < total:
                self.dropped.count(self.clock())

    def loss(self) -> str:
        """Return in a few words what gets lost of the images on their way, if anything does."""
        with self._lock:
            now = self.clock()
            if self._many_lost(now):
                return "images get lost on their way"
            # The middleware tells of losses only when a later image comes through. Once one has
            # come, silence is more likely a pause.
            is_published = self._publisher_since is not None
            if is_published and self.received.last is None and self._silence(now) > NO_IMAGES_S:
                return "no image comes through"
            return ""

    def warning(self, around: Surroundings) -> str:
        """Return the most pressing reason to warn, empty if there is none."""
        return (
            self.input_warning(around) or self._work_warning(around) or self.scale_warning(around)
        )

    def input_warning(self, around: Surroundings) -> str:
        """Return why images do not come in, or not all of them; empty if they do."""
        with self._lock:
            now = self.clock()
            if around.incompatible:
                return "; ".join(around.incompatible)
            if not around.enabled:
                return ""
            received, lost = self.received.recent(now), self.lost.recent(now)
            silence = self._silence(now)
            if silence > NO_IMAGES_S and not lost:
                who = (
                    f"it has a publisher, so large images may get lost: {WHAT_AGAINST_LOSSES}"
                    if self._publisher_since is not None
                    else "nobody publishes it"
                )
                return f"no image on {around.topic} for {silence:.0f} s; {who}"
            if self._many_lost(now):
                return (
                    f"{lost} of {received + lost} images on {around.topic} were lost on their "
                    f"way in the last {WINDOW_S:.0f} s: {WHAT_AGAINST_LOSSES}"
                )
            return ""

    def scale_warning(self, around: Surroundings) -> str:
        """Return why depth is not in metres; empty if it is, or none was published of late."""
        with self._lock:
            if not around.enabled or self.is_metric or not self.published.recent(self.clock()):
                return ""
            return (
                f"depth is not metric: no calibrated camera_info on {around.camera_info_topic}; "
                "publish one, or set the parameter focal_length"
            )

    def _silence(self, now: float) -> float:
        since = self._start if self.received.last is None else self.received.last
        # A driver that starts later than the node takes a moment to its first image, too.
        return now - max(since, self._publisher_since or since)

    def _many_lost(self, now: float) -> bool:
        received, lost = self.received.recent(now), self.lost.recent(now)
        return lost > max(1.0, _TOLERATED_LOSSES * (received + lost))

    def _work_warning(self, around: Surroundings) -> str:
        with self._lock:
            now = self.clock()
            if not around.enabled:
                return ""
            if around.busy_s > STUCK_S:
                return stuck(around.busy_stage, around.busy_s)
            if self.failed.recent(now):
                return f"{self.failed.total} frames failed: {self.last_error}"
            received = self.received.recent(now)
            if received > 5 and self.dropped.recent(now) > _TOLERATED_DROPS * received:
                return (
                    f"cannot keep up: {self.received.rate(now):.1f} images/s in, "
                    f"{self.published.rate(now):.1f} out"
                )
            return ""

    def values(self) -> dict[str, str]:
        """Return all there is to tell, by name."""
        with self._lock:
            now = self.clock()
            latency = "unknown" if self.latency_ms is None else f"{self.latency_ms:.1f}"
            stages = {f"{name}_ms": f"{value:.1f}" for name, value in self.timings.items()}
            return {
                "input_rate_hz": f"{self.received.rate(now):.2f}",
                "output_rate_hz": f"{self.published.rate(now):.2f}",
                "frames_received": str(self.received.total),
                "frames_published": str(self.published.total),
                "frames_lost": str(self.lost.total),
                "frames_dropped": str(self.dropped.total),
                "frames_skipped": str(self.skipped),
                "frames_failed": str(self.failed.total),
                **stages,
                "latency_ms": latency,
                "focal_length": self.focal_length,
                "last_error": self.last_error,
            }
