# SPDX-License-Identifier: Apache-2.0
"""Lines in the plane, and the height of the land they run over."""

from dataclasses import dataclass

import numpy as np

from training.streets.mesh import FloatArray


@dataclass(frozen=True)
class Relief:
    """Rolling ground: a sum of long waves, metres."""

    amplitudes: FloatArray
    waves: FloatArray
    phases: FloatArray

    def height(self, xy: FloatArray) -> FloatArray:
        """Return the height at points ``(..., 2)``."""
        phase = np.asarray(xy) @ self.waves.T + self.phases
        return np.asarray((np.sin(phase) * self.amplitudes).sum(-1))


def relief(rng: np.random.Generator) -> Relief:
    """Return flat ground or gentle hills."""
    steep = float(rng.choice([0.0, 0.4, 1.0, 2.0], p=[0.35, 0.3, 0.25, 0.1]))
    lengths = rng.uniform(130, 320, 3)
    angles = rng.uniform(0, 2 * np.pi, 3)
    waves = np.stack([np.cos(angles), np.sin(angles)], -1) * (2 * np.pi / lengths)[:, None]
    return Relief(steep * rng.uniform(0.2, 1.0, 3), waves, rng.uniform(0, 2 * np.pi, 3))


@dataclass(frozen=True)
class Curve:
    """A line in the plane sampled every few metres.

    Attributes:
        points: ``(N, 2)``.
        headings: ``(N,)`` radians.
        stations: ``(N,)`` metres from the start.
    """

    points: FloatArray
    headings: FloatArray
    stations: FloatArray

    @property
    def length(self) -> float:
        """Metres."""
        return float(self.stations[-1])

    def heading(self, s: float | FloatArray) -> FloatArray:
        """Return the direction at ``s``, radians."""
        return np.asarray(np.interp(s, self.stations, self.headings))

    def at(self, s: float | FloatArray, d: float | FloatArray = 0.0) -> FloatArray:
        """Return world points ``(..., 2)`` of places (s, d); straight on beyond both ends."""
        s = np.asarray(s, float)
        x = np.interp(s, self.stations, self.points[:, 0])
        y = np.interp(s, self.stations, self.points[:, 1])
        heading = self.heading(s)
        beyond = s - np.clip(s, 0, self.length)
        x = x + beyond * np.cos(heading) - d * np.sin(heading)
        y = y + beyond * np.sin(heading) + d * np.cos(heading)
        return np.stack([x, y], -1)


def curve(
    rng: np.random.Generator, start: FloatArray, heading: float, length: float, bend: float
) -> Curve:
    """Return a line whose curvature wanders; ``bend`` is the sharpest, 1/m."""
    step = 2.0
    stations = np.arange(0, length + step, step)
    knots = np.linspace(0, stations[-1], max(int(length / 70) + 2, 2))
    curvature = np.interp(stations, knots, rng.uniform(-bend, bend, len(knots)))
    headings = heading + np.concatenate([[0], np.cumsum(curvature[:-1] * step)])
    moves = np.stack([np.cos(headings), np.sin(headings)], -1) * step
    points = np.asarray(start) + np.concatenate([[[0, 0]], np.cumsum(moves[:-1], 0)])
    return Curve(points, headings, stations)
