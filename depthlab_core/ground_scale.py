# SPDX-License-Identifier: Apache-2.0
"""Metric scale from the ground: one camera cannot know it, but its mounting height tells."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from depthlab_core.ground import GroundFit
from depthlab_core.strict_load import require_positive


@dataclass(frozen=True)
class GroundLimits:
    """When a fit is too poor to take a scale from.

    Attributes:
        min_samples: Fewest pixels.
        min_inlier_ratio: Smallest share of them near the plane.
        max_pitch_deg: Steepest view up or down.
        max_roll_deg: Strongest lean.
        max_scale: Largest correction, either way: 1 / ``max_scale`` to ``max_scale``.
    """

    min_samples: int = 300
    min_inlier_ratio: float = 0.6
    max_pitch_deg: float = 60.0
    max_roll_deg: float = 25.0
    max_scale: float = 4.0

    def __post_init__(self) -> None:
        if not self.max_scale > 1:
            raise ValueError(f"max_scale: got {self.max_scale}, expected more than 1")


class GroundScaler:
    """The factor that brings the ground to the known distance under one camera.

    The factor is smoothed over the frames of a stream, in its logarithm. Frames with a poor fit
    leave it as it is. A new one answers for a single image as it is seen.

    Attributes:
        camera_height: Metres; may be changed, as the camera moves over the ground that it sees.
        is_fitting: Whether the fit of the last frame was good enough to be taken in.
    """

    def __init__(
        self,
        camera_height: float,
        *,
        smoothing: float = 0.8,
        limits: GroundLimits | None = None,
    ) -> None:
        """Start without any frame seen.

        Args:
            camera_height: Of the camera over the ground that the robot stands on, metres.
            smoothing: Weight of the past, 0 (none) to below 1.
            limits: When to leave depth alone.

        Raises:
            ValueError: If the height is not a positive number or the weight is out of range.
        """
        require_positive("camera_height", camera_height, "metres")
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing: got {smoothing}, expected 0 to below 1")
        self.camera_height = camera_height
        self.smoothing = smoothing
        self.limits = limits or GroundLimits()
        self.is_fitting = False
        self._log_scale: float | None = None

    def update(self, fit: GroundFit) -> GroundFit:
        """Take in a frame.

        Returns:
            The fit with the ``scale`` to multiply its frame's depth by, and ``applied``: False,
            with scale 1, until the first good fit.
        """
        self.is_fitting = self._is_good(fit)
        if self.is_fitting:
            seen = math.log(self.camera_height / fit.height)
            past = seen if self._log_scale is None else self._log_scale
            self._log_scale = self.smoothing * past + (1 - self.smoothing) * seen
        if self._log_scale is None:
            return replace(fit, scale=1.0, applied=False)
        return replace(fit, scale=math.exp(self._log_scale), applied=True)

    def reset(self) -> None:
        """Forget all frames."""
        self.is_fitting = False
        self._log_scale = None

    def _is_good(self, fit: GroundFit) -> bool:
        limits = self.limits
        # A NaN fails every comparison.
        return (
            fit.samples >= limits.min_samples
            and fit.inlier_ratio >= limits.min_inlier_ratio
            and abs(fit.pitch_deg) <= limits.max_pitch_deg
            and abs(fit.roll_deg) <= limits.max_roll_deg
            and 1 / limits.max_scale <= self.camera_height / fit.height <= limits.max_scale
        )
