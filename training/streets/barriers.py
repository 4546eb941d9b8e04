# SPDX-License-Identifier: Apache-2.0
"""Walls, fences, guard rails and railings along a line of points."""

import numpy as np

from training.streets import textures
from training.streets.classes import SemanticClass
from training.streets.mesh import FloatArray, Material, Mesh, Surface, grid, merge, rgb
from training.streets.shapes import box, pose


def _distances(path: FloatArray) -> FloatArray:
    steps = np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _sheet(path: FloatArray, low: float, high: float, surface: Surface, tile: float) -> Mesh:
    """Return an upright band that follows ``path`` (N, 3)."""
    points = np.stack([path + [0, 0, low], path + [0, 0, high]])
    uv = np.zeros((2, len(path), 2))
    uv[..., 0] = _distances(path) / tile
    uv[1, :, 1] = 1.0 if surface.material == Material.VEIL else (high - low) / tile
    return grid(points, surface, uv=uv, flat=True)


def _slab(path: FloatArray, width: float, height: float, surface: Surface, tile: float) -> Mesh:
    """Return a solid band of some width that follows ``path``."""
    tangent = np.gradient(path[:, :2], axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.stack([-tangent[:, 1], tangent[:, 0], np.zeros(len(path))], -1) * width / 2
    top = np.stack([path - side, path + side]) + [0, 0, height]
    return merge(
        [
            _sheet(path - side, -0.4, height, surface, tile),
            _sheet(path + side, -0.4, height, surface, tile),
            grid(top, surface, flat=True),
        ]
    )


def wall(rng: np.random.Generator, path: FloatArray) -> Mesh:
    """Return a free-standing wall, 0.5 to 2.6 m high."""
    tone = np.array([190, rng.uniform(150, 190), rng.uniform(120, 185)]) * rng.uniform(0.6, 1.2)
    surface = Surface(SemanticClass.WALL, layer=int(rng.choice(textures.WALLS)), color=rgb(tone))
    height = float(rng.choice([0.6, 0.9, 1.3, 1.9, 2.4])) * rng.uniform(0.85, 1.15)
    parts = [_slab(path, 0.3, height, surface, 2.4)]
    if rng.random() < 0.5:
        cap = Surface(SemanticClass.WALL, color=(165, 160, 152))
        raised = path + [0, 0, height]
        parts.append(_slab(raised, 0.4, 0.08, cap, 2.4))
    return merge(parts)


def fence(rng: np.random.Generator, path: FloatArray) -> Mesh:
    """Return a fence or railing one can look through, or one of planks."""
    height = rng.uniform(0.8, 2.0)
    tone = int(rng.choice([30, 60, 110, 160, 225]))
    if rng.random() < 0.25:
        planks = Surface(
            SemanticClass.FENCE,
            layer=textures.PLANKS,
            color=(tone, int(tone * 0.85), int(tone * 0.68)),
        )
        return _sheet(path, 0.02, height, planks, 2.0)
    surface = Surface(
        SemanticClass.FENCE,
        layer=int(rng.choice(textures.FENCES)),
        material=Material.VEIL,
        color=(tone, tone, tone),
    )
    return _sheet(path, 0.02, height, surface, rng.uniform(1.4, 2.6))


def guard_rail(rng: np.random.Generator, path: FloatArray) -> Mesh:
    """Return a steel guard rail with posts."""
    steel = Surface(SemanticClass.FENCE, color=(160, 164, 166))
    parts = [_sheet(path, 0.45, 0.78, steel, 2.0)]
    distance = _distances(path)
    for s in np.arange(0.5, distance[-1], rng.uniform(2, 4)):
        x, y, z = (float(np.interp(s, distance, path[:, axis])) for axis in range(3))
        parts.append(
            box((0.12, 0.12, 0.95), steel, center=(0, 0, -0.2)).transformed(pose(x, y, z))
        )
    return merge(parts)


def concrete_barrier(rng: np.random.Generator, path: FloatArray) -> Mesh:
    """Return a low concrete barrier."""
    value = int(rng.integers(140, 200))
    surface = Surface(
        SemanticClass.WALL, layer=int(rng.choice(textures.WALLS)), color=(value, value, value - 6)
    )
    return _slab(path, 0.35, rng.uniform(0.75, 1.1), surface, 3.0)
