# SPDX-License-Identifier: Apache-2.0
"""What closes the view: belts of trees around the town, and hills behind them."""

import numpy as np

from training.streets import textures
from training.streets.classes import SemanticClass
from training.streets.curve import Relief
from training.streets.mesh import Color, FloatArray, Mesh, Surface, grid

_SEGMENTS = 420


def belt(rng: np.random.Generator, relief: Relief, center: FloatArray) -> Mesh:
    """Return a closed line of trees 330 to 480 m from the middle of the town."""
    angle = np.linspace(0, 2 * np.pi, _SEGMENTS)
    reach = rng.uniform(330, 480) + 25 * np.sin(angle * rng.integers(2, 6) + rng.uniform(0, 6))
    height = rng.uniform(5, 13) * (0.35 + _waves(rng, angle, 40)) + rng.uniform(0, 2.5, _SEGMENTS)
    # Some of it is open land.
    height *= np.clip(_waves(rng, angle, 9) * 4 - rng.uniform(-1.0, 1.2), 0.05, 1)
    height[-1] = height[0]
    tone = int(rng.integers(120, 230))
    surface = Surface(SemanticClass.VEGETATION, layer=textures.HEDGE, color=(tone, tone, tone))
    return _ring(relief, center, reach, height, surface, tile=9.0)


def hills(rng: np.random.Generator, relief: Relief, center: FloatArray) -> Mesh:
    """Return wooded or bare hills 0.8 to 1.1 km away."""
    angle = np.linspace(0, 2 * np.pi, _SEGMENTS)
    height = rng.uniform(20, 110) * _waves(rng, angle, 7) ** 1.5
    height[-1] = height[0]
    color: Color = (130, 135, 130)
    wooded = Surface(SemanticClass.VEGETATION, layer=textures.HEDGE, color=color)
    bare = Surface(SemanticClass.TERRAIN, layer=int(rng.choice(textures.GRASS)), color=color)
    surface = wooded if rng.random() < 0.7 else bare
    return _ring(relief, center, np.full(_SEGMENTS, rng.uniform(800, 1100)), height, surface, 60.0)


def _waves(rng: np.random.Generator, angle: FloatArray, finest: int) -> FloatArray:
    """Return smooth noise 0..1 around a circle, ``(N,)``."""
    total = np.zeros_like(angle)
    for frequency in range(1, finest + 1):
        total += np.sin(frequency * angle + rng.uniform(0, 2 * np.pi)) / np.sqrt(frequency)
    return np.asarray((total - total.min()) / max(float(np.ptp(total)), 1e-6))


def _ring(
    relief: Relief,
    center: FloatArray,
    reach: FloatArray,
    height: FloatArray,
    surface: Surface,
    tile: float,
) -> Mesh:
    angle = np.linspace(0, 2 * np.pi, len(reach))
    ground = center + reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    low = relief.height(ground) - 3.0
    bottom = np.concatenate([ground, low[:, None]], -1)
    # Crowns lean away, so that the sky lights them.
    outward = (ground - center) / reach[:, None] * height[:, None] * 0.4
    top = np.concatenate([ground + outward, (low + 3.0 + height)[:, None]], -1)
    uv = np.zeros((2, len(reach), 2))
    uv[..., 0] = angle * reach.mean() / tile
    uv[1, :, 1] = (height + 3.0) / tile
    return grid(np.stack([bottom, top]), surface, uv=uv)
