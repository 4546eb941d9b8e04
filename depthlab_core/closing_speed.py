# SPDX-License-Identifier: Apache-2.0
"""How fast something comes nearer: a Kalman filter over its depth."""

from __future__ import annotations

import math

import numpy as np

# The first speed is anybody's guess; m/s.
_SPEED_SPREAD = 15.0
# Beyond this many standard deviations a measurement counts less, as with Huber's estimator.
_HUBER = 2.0


class ClosingSpeedFilter:
    """Depth and its rate under constant speed, from depths that err by a share of their value.

    Attributes:
        depth: Filtered depth in metres.
        closing_speed: m/s, positive when it comes nearer.
        speed_std: Standard deviation of that, m/s.
    """

    def __init__(self, depth: float, *, noise: float, acceleration: float) -> None:
        """Start with one measurement.

        Args:
            depth: Metres.
            noise: Relative standard deviation of measured depth.
            acceleration: Standard deviation of how speed changes within a second, m/s.
        """
        self._noise, self._acceleration = noise, acceleration
        self._state = np.array([depth, 0.0])
        self._covariance = np.diag([(noise * depth) ** 2, _SPEED_SPREAD**2])

    @property
    def depth(self) -> float:
        """Filtered depth in metres."""
        return float(self._state[0])

    @property
    def closing_speed(self) -> float:
        """Speed in m/s, positive when it comes nearer."""
        return -float(self._state[1])

    @property
    def speed_std(self) -> float:
        """Standard deviation of the speed, m/s."""
        return math.sqrt(self._covariance[1, 1])

    def predict(self, dt: float) -> None:
        """Go ``dt`` seconds on."""
        transition = np.array([[1.0, dt], [0.0, 1.0]])
        spread = np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]]) * self._acceleration**2
        self._state = transition @ self._state
        self._covariance = transition @ self._covariance @ transition.T + spread

    def correct(self, depth: float) -> None:
        """Take in a measured depth, in metres."""
        innovation = depth - self._state[0]
        # By the expected depth: by the measured one, too near would count more than too far.
        measured = (self._noise * max(float(self._state[0]), 0.5)) ** 2
        prior = float(self._covariance[0, 0])
        spread = math.sqrt(prior + measured)
        if abs(innovation) > _HUBER * spread:
            measured *= abs(innovation) / (_HUBER * spread)
        gain = self._covariance[:, 0] / (prior + measured)
        self._state = self._state + gain * innovation
        self._covariance = self._covariance - np.outer(gain, self._covariance[0])
