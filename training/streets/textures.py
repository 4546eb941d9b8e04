# SPDX-License-Identifier: Apache-2.0
"""The texture atlas of one town: 64 layers of 256 × 256, every one painted from noise.

Layers hold reflectance in sRGB; alpha is transparency for leaves and veils, and for facades tells
wall (1), frame (0.5) and glass (0) apart.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from training.streets import facades, foliage, signs
from training.streets.appearance import AppearancePool
from training.streets.noise import blotches, noise

SIZE = 256
LAYERS = 64
WHITE = 0
NOISE = 1
ASPHALT = (2, 3, 4)
PAVING = (5, 6, 7, 8)
GRASS = (9, 10)
DIRT = (11, 12)
WALLS = (13, 14, 15, 16)
ROOFS = (17, 18)
PLANKS = 19
FACADES = tuple(range(20, 30))
SHOPS = tuple(range(30, 36))
LEAVES = tuple(range(36, 42))
TWIGS = (42, 43, 44)
FENCES = (45, 46, 47)
SPOKES = 48
SIGNS = tuple(range(49, 57))
POSTERS = (57, 58)
CLOTH = (59, 60)
BARK = 61
HEDGE = 62
PAINT_WORN = 63

Texture = npt.NDArray[np.float32]


def paint_atlas(pool: AppearancePool, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return the atlas ``(64, 256, 256, 4)`` of a town, uint8 sRGB + alpha."""
    atlas = np.full((LAYERS, SIZE, SIZE, 4), 255, np.uint8)
    painters: list[tuple[str, tuple[int, ...], Callable[[np.random.Generator], Texture]]] = [
        ("noise", (NOISE,), _noise),
        ("asphalt", ASPHALT, _asphalt),
        ("paving", PAVING, _paving),
        ("grass", GRASS, _grass),
        ("dirt", DIRT, _dirt),
        ("wall", WALLS, facades.wall),
        ("roof", ROOFS, _roof),
        ("planks", (PLANKS,), _planks),
        ("facade", FACADES, facades.facade),
        ("shop", SHOPS, facades.shop),
        ("leaves", LEAVES, foliage.leaves),
        ("twigs", TWIGS, foliage.twigs),
        ("fence", FENCES, signs.fence),
        ("spokes", (SPOKES,), signs.spokes),
        ("sign", SIGNS, signs.sign),
        ("poster", POSTERS, signs.poster),
        ("cloth", CLOTH, _cloth),
        ("bark", (BARK,), _bark),
        ("hedge", (HEDGE,), foliage.hedge),
        ("worn", (PAINT_WORN,), _worn),
    ]
    for kind, layers, painter in painters:
        for layer in layers:
            texture = painter(pool.style(kind, rng))
            texture = np.clip(texture * 255 + 0.5, 0, 255)
            atlas[layer, ..., : texture.shape[-1]] = texture.astype(np.uint8)
    return atlas


def tinted(value: npt.NDArray[np.floating], color: npt.ArrayLike) -> Texture:
    """Return grey ``(S, S)`` times an RGB colour 0..1, ``(S, S, 3)``."""
    return np.asarray(value[..., None] * np.asarray(color), np.float32)


def _noise(rng: np.random.Generator) -> Texture:
    """Return clouds in red, and in green the grain that ground shows from near."""
    clouds = noise(rng, SIZE, exponent=2.2)
    strength = rng.uniform(0.1, 0.9)
    grain = 0.5 + strength * (noise(rng, SIZE, exponent=rng.choice([0.0, 0.6])) - 0.5)
    return np.stack([clouds, grain, clouds], -1).astype(np.float32)


def _asphalt(rng: np.random.Generator) -> Texture:
    grain = noise(rng, SIZE, exponent=rng.choice([0.0, 0.6, 1.2]))
    broad = noise(rng, SIZE, exponent=2.6)
    value = rng.uniform(0.3, 0.58) * (
        1 + rng.uniform(0.1, 0.4) * (grain - 0.5) + rng.uniform(0.04, 0.25) * (broad - 0.5)
    )
    if rng.random() < 0.6:
        ridge = np.abs(noise(rng, SIZE, exponent=2.6) - 0.5)
        value *= 1 - rng.uniform(0.2, 0.6) * np.clip(1 - ridge / 0.006, 0, 1)
    if rng.random() < 0.5:
        value *= 1 - rng.uniform(0.03, 0.15) * blotches(rng, SIZE, 0.15)
    hue = np.array([1.0, 1.0, 1.0]) + rng.uniform(-0.025, 0.025, 3)
    return tinted(value, hue)


def _paving(rng: np.random.Generator) -> Texture:
    value = (
        1
        + 0.3 * (noise(rng, SIZE, exponent=1.0) - 0.5)
        + 0.3 * (noise(rng, SIZE, exponent=2.6) - 0.5)
    )
    if rng.random() < 0.75:
        across, along = int(rng.choice([3, 4, 6, 8, 12])), int(rng.choice([4, 6, 8, 12, 16]))
        value *= facades.courses(rng, SIZE, across, along, gap=rng.uniform(0.01, 0.05))
    hue = np.array([1.0, rng.uniform(0.92, 1.0), rng.uniform(0.82, 1.02)])
    if rng.random() < 0.15:
        hue = np.array([1.0, rng.uniform(0.6, 0.75), rng.uniform(0.5, 0.65)])
    return tinted(value * rng.uniform(0.38, 0.78), hue)


def _grass(rng: np.random.Generator) -> Texture:
    value = (
        1
        + 0.7 * (noise(rng, SIZE, exponent=0.8) - 0.5)
        + 0.5 * (noise(rng, SIZE, exponent=2.4) - 0.5)
    )
    fresh = np.array([rng.uniform(0.3, 0.46), rng.uniform(0.44, 0.58), rng.uniform(0.16, 0.3)])
    dry = np.array([0.66, 0.58, 0.4]) * rng.uniform(0.8, 1.1)
    patch = rng.uniform(0.3, 0.8) * blotches(rng, SIZE, rng.uniform(0.02, 0.5))[..., None]
    return np.asarray(value[..., None] * (fresh * (1 - patch) + dry * patch), np.float32)


def _dirt(rng: np.random.Generator) -> Texture:
    value = (
        1
        + 0.6 * (noise(rng, SIZE, exponent=0.7) - 0.5)
        + 0.4 * (noise(rng, SIZE, exponent=2.4) - 0.5)
    )
    hue = np.array([0.62, rng.uniform(0.5, 0.58), rng.uniform(0.36, 0.5)])
    return tinted(value * rng.uniform(0.7, 1.1), hue)


def _roof(rng: np.random.Generator) -> Texture:
    value = facades.courses(rng, SIZE, 8, 12, gap=0.06) * (
        1 + 0.4 * (noise(rng, SIZE, exponent=1.6) - 0.5)
    )
    hues = [(0.55, 0.3, 0.22), (0.36, 0.36, 0.4), (0.45, 0.36, 0.3), (0.28, 0.27, 0.27)]
    return tinted(value * rng.uniform(0.7, 1.3), hues[int(rng.integers(4))])


def _planks(rng: np.random.Generator) -> Texture:
    value = facades.courses(rng, SIZE, int(rng.integers(6, 14)), 1, gap=0.03)
    streaks = np.repeat(noise(rng, SIZE, exponent=1.2)[:1], SIZE, 0)
    return tinted(value * (0.8 + 0.4 * streaks), (1, 1, 1))


def _cloth(rng: np.random.Generator) -> Texture:
    value = 0.92 + 0.3 * (noise(rng, SIZE, exponent=2.4) - 0.5)
    if rng.random() < 0.5:
        count = int(rng.integers(3, 16))
        stripes = (np.arange(SIZE) * count // SIZE) % 2
        value = value * (1 - rng.uniform(0.2, 0.7) * stripes[:, None])
    return tinted(value, (1, 1, 1))


def _bark(rng: np.random.Generator) -> Texture:
    field = noise(rng, SIZE, exponent=1.6)
    value = 1 + 0.9 * (field[:32].repeat(8, 0) - 0.5)
    return tinted(value * rng.uniform(0.35, 0.6), (1.0, rng.uniform(0.85, 0.97), 0.8))


def _worn(rng: np.random.Generator) -> Texture:
    value = 0.9 + 0.25 * (noise(rng, SIZE, exponent=1.2) - 0.5)
    value *= 1 - rng.uniform(0.1, 0.5) * blotches(rng, SIZE, 0.25, exponent=1.4)
    return tinted(value, (1, 1, 1))
