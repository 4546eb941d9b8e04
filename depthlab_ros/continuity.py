# SPDX-License-Identifier: Apache-2.0
"""What one camera's frames have in common: the things in them, and the scale of their depth."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from depthlab_core import Prediction
from depthlab_core.ground import GroundFit
from depthlab_core.ground_scale import GroundScaler
from depthlab_core.track import TrackState
from depthlab_core.tracking import Tracker

# A height that changes by more is another mounting, and not the springs of a car.
_SAME_MOUNTING = 1.1
# A focal length that changes by more in one frame is another calibration, and no zoom.
_SAME_LENS = 1.05


@dataclass(frozen=True)
class _Measure:
    """What a frame's depth is metric by."""

    focal_length: float
    is_assumed: bool
    scaler: GroundScaler | None

    def continues(self, before: _Measure) -> bool:
        return (
            self.is_assumed == before.is_assumed
            and self.scaler is before.scaler
            and _is_close(self.focal_length, before.focal_length, _SAME_LENS)
        )


Tracks = Mapping[int, TrackState]
"""By ``Segment.panoptic_id``, which a filter of segments leaves alone."""


class Continuity:
    """Follows one camera over its frames; safe to use from several threads.

    Args:
        ids: Gives the ids of new tracks; 1, 2, ... if left out.
    """

    def __init__(self, ids: Iterator[int] | None = None) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1) if ids is None else ids
        self._tracker = Tracker(ids=self._ids)
        self._scaler: GroundScaler | None = None
        self._ground: GroundFit | None = None
        self._view: tuple[str, tuple[int, ...]] | None = None
        self._measure: _Measure | None = None

    def successor(self) -> Continuity:
        """Return one for frames of another time; no track has an id that this one gives.

        Frames of the time before that are still under way go on with this one.
        """
        return Continuity(self._ids)

    def follow(
        self,
        prediction: Prediction,
        stamp: float,
        frame_id: str,
        *,
        tracking: bool,
        camera_height: float | None,
    ) -> tuple[Prediction, Tracks]:
        """Take in the next frame.

        Args:
            prediction: Of the frame, all of its segments.
            stamp: Of the frame, seconds.
            frame_id: Of the camera. Another one than before, or another size of the image, is
                another view: nothing is known of it from the frames before.
            tracking: Whether things are followed; without it there are no tracks.
            camera_height: Of the camera over the ground, metres; None leaves depth as it is.

        Returns:
            The prediction with its depth scaled, and the state of each thing in it.
        """
        view = (frame_id, prediction.id_map.shape)
        with self._lock:
            if view != self._view:
                self._tracker.reset()
                self._scaler, self._view = None, view
            scaled = self._scale(prediction, camera_height)
            measure = self._measure_of(scaled)
            if self._measure is not None and not measure.continues(self._measure):
                self._tracker.forget_depth()
            self._measure = measure
            if not tracking:
                self._tracker.reset()
                return scaled, {}
            states = self._tracker.update(scaled.segments, scaled.id_map, stamp)
            return scaled, {
                segment.panoptic_id: states[segment.id]
                for segment in scaled.segments
                if segment.id in states
            }

    def values(self) -> dict[str, str]:
        """Return the ground and the scale for a report, by name; empty before the first frame."""
        with self._lock:
            ground, scaler = self._ground, self._scaler
        if ground is None:
            return {}
        if scaler is None:
            state = "as the network gives it: the camera's height is unknown"
        elif ground.applied and not scaler.is_fitting:
            state = "scaled as before: no plane fits the ground well enough now"
        elif ground.applied:
            state = f"scaled to a camera height of {scaler.camera_height:.2f} m"
        else:
            state = "as the network gives it: no plane fits the ground well enough yet"
        return {
            "depth_scale": f"{ground.scale:.3f}",
            "depth_scale_state": state,
            "ground_height_m": f"{ground.height:.2f}",
            "ground_pitch_deg": f"{ground.pitch_deg:.1f}",
            "ground_roll_deg": f"{ground.roll_deg:.1f}",
            "ground_inlier_ratio": f"{ground.inlier_ratio:.2f}",
        }

    def _scale(self, prediction: Prediction, camera_height: float | None) -> Prediction:
        self._ground = prediction.ground
        if camera_height is None or prediction.ground is None:
            self._scaler = None
            return prediction
        scaler = self._scaler
        if scaler is None or not _is_close(scaler.camera_height, camera_height, _SAME_MOUNTING):
            scaler = self._scaler = GroundScaler(camera_height)
        scaler.camera_height = camera_height
        self._ground = scaler.update(prediction.ground)
        return prediction.scaled_to(self._ground)

    def _measure_of(self, scaled: Prediction) -> _Measure:
        is_applied = scaled.ground is not None and scaled.ground.applied
        return _Measure(
            scaled.focal_length, scaled.focal_length_assumed, self._scaler if is_applied else None
        )


def _is_close(one: float, other: float, factor: float) -> bool:
    return abs(math.log(one / other)) < math.log(factor)
