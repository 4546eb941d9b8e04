# SPDX-License-Identifier: Apache-2.0
"""One thing over time: where it is expected, what it is and how fast it comes nearer."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from depthlab_core.affinity import Appearance
from depthlab_core.box_motion import BoxMotion
from depthlab_core.closing_speed import ClosingSpeedFilter
from depthlab_core.segments import Segment


@dataclass(frozen=True)
class TrackState:
    """What is known of a thing over time.

    Attributes:
        track_id: 1, 2, ...; never used again by the same ``Tracker``.
        age: Number of frames in which it was seen.
        closing_speed: m/s along the camera's Z axis, positive when it comes nearer; NaN = unknown.
        time_to_contact: Seconds until its depth is 0 at that speed; infinite where it does not
            come nearer, NaN = unknown.
    """

    track_id: int
    age: int
    closing_speed: float
    time_to_contact: float


@dataclass(frozen=True)
class TrackerConfig:
    """Settings of ``Tracker``.

    Attributes:
        max_gap: Seconds after which a thing that is not seen is given up; longer pauses between
            frames end all tracks.
        min_affinity: Least likeness to call two the same, 0 to 1.
        depth_gate: Largest factor between expected and measured depth of the same thing.
        depth_noise: Relative standard deviation of a segment's depth from frame to frame.
        acceleration: Standard deviation of how closing speed changes within a second, m/s.
        max_speed_std: Closing speed is unknown while its standard deviation is larger, m/s.
    """

    max_gap: float = 1.0
    min_affinity: float = 0.05
    depth_gate: float = 1.6
    depth_noise: float = 0.04
    acceleration: float = 1.5
    max_speed_std: float = 2.0

    def __post_init__(self) -> None:
        for name in ("max_gap", "depth_noise", "acceleration", "max_speed_std"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected more than 0")
        if not self.depth_gate > 1:
            raise ValueError(f"depth_gate: got {self.depth_gate}, expected more than 1")
        if not 0 <= self.min_affinity < 1:
            raise ValueError(f"min_affinity: got {self.min_affinity}, expected 0 to below 1")


class Track:
    """What is remembered of one thing.

    Attributes:
        last_seen: Stamp of the last frame that showed it, seconds.
        motion: Of its box.
    """

    def __init__(
        self, track_id: int, segment: Segment, stamp: float, config: TrackerConfig
    ) -> None:
        """Start with the first segment of it."""
        self.last_seen = stamp
        self.motion = BoxMotion(segment.bbox)
        self._id, self._config = track_id, config
        self._age = 1
        self._votes = Counter([segment.category_id])
        self._filter: ClosingSpeedFilter | None = None
        self._measure(segment.depth_median)

    def predict(self, elapsed: float) -> None:
        """Go ``elapsed`` seconds on."""
        self.motion.predict(elapsed)
        if self._filter is not None:
            self._filter.predict(elapsed)

    def correct(self, segment: Segment, stamp: float) -> None:
        """Take in a segment of it in a new frame."""
        self.motion.correct(segment.bbox, stamp - self.last_seen)
        self.last_seen = stamp
        self._age += 1
        self._votes[segment.category_id] += 1
        self._measure(segment.depth_median)

    def forget_depth(self) -> None:
        """Know nothing of its depth and speed until it is seen again."""
        self._filter = None

    def expected(self) -> Appearance:
        """Return how it should look now."""
        depth = math.nan if self._filter is None else self._filter.depth
        # Of equal votes the older class leads.
        category_id = self._votes.most_common(1)[0][0]
        return Appearance(self.motion.expected(), depth, category_id, self.motion.is_missed)

    def state(self) -> TrackState:
        """Return what users of the tracker see."""
        speed = time = math.nan
        if self._filter is not None and self._filter.speed_std <= self._config.max_speed_std:
            speed = self._filter.closing_speed
            time = max(self._filter.depth, 0.0) / speed if speed > 0 else math.inf
        return TrackState(self._id, self._age, speed, time)

    def _measure(self, depth: float) -> None:
        if not (math.isfinite(depth) and depth > 0):
            return
        if self._filter is None:
            self._filter = ClosingSpeedFilter(
                depth, noise=self._config.depth_noise, acceleration=self._config.acceleration
            )
        else:
            self._filter.correct(depth)
