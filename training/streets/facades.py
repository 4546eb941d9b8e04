# SPDX-License-Identifier: Apache-2.0
"""Facade textures: walls, one window bay of one floor, and shop fronts.

Alpha tells what a texel is: 1 = wall (takes the building's colour), 0.5 = frame, 0 = glass.
"""

import numpy as np
import numpy.typing as npt

from training.streets.noise import noise

SIZE = 256
Texture = npt.NDArray[np.float32]


def courses(
    rng: np.random.Generator, size: int, across: int, along: int, *, gap: float
) -> Texture:
    """Return bricks or slabs ``(size, size)``: grey values about 1, darker joints.

    Args:
        rng: Source of the stones' shades.
        size: Texture size, pixels.
        across: Stones per row.
        along: Rows.
        gap: Width of a joint as a share of a stone.
    """
    y, x = np.mgrid[0:size, 0:size] / size
    row = np.floor(y * along).astype(int)
    shift = rng.choice([0.0, 0.5])
    u = x * across + shift * (row % 2)
    column = np.floor(u).astype(int) % max(across, 1)
    shades = rng.uniform(0.85, 1.1, (along, max(across, 1)))
    value = shades[row, column]
    inside_u, inside_v = u % 1, (y * along) % 1
    joint = (inside_u < gap) | (inside_v < gap * along / max(across, 1) + 0.01)
    return np.asarray(np.where(joint, value * rng.uniform(0.55, 0.85), value), np.float32)


def wall(rng: np.random.Generator) -> Texture:
    """Return a bare wall ``(S, S, 3)``, near white: the building gives the colour."""
    value = 0.86 + 0.2 * (noise(rng, SIZE, exponent=2.6) - 0.5)
    value += rng.uniform(0.0, 0.3) * (noise(rng, SIZE, exponent=0.6) - 0.5)
    kind = rng.random()
    if kind < 0.45:
        value *= courses(rng, SIZE, 10, 28, gap=0.08)
    elif kind < 0.6:
        value *= courses(rng, SIZE, 4, 8, gap=0.03)
    streaks = np.repeat(noise(rng, SIZE, exponent=1.5)[:1], SIZE, 0)
    value *= 1 - rng.uniform(0, 0.25) * streaks
    return np.repeat(value[..., None], 3, -1).astype(np.float32)


def _fill(
    texture: Texture, x0: float, y0: float, x1: float, y1: float, rgba: tuple[float, ...]
) -> None:
    """Paint a rectangle; coordinates in 0..1, y up."""
    rows = slice(round(y0 * SIZE), max(round(y1 * SIZE), round(y0 * SIZE) + 1))
    columns = slice(round(x0 * SIZE), max(round(x1 * SIZE), round(x0 * SIZE) + 1))
    texture[rows, columns] = rgba


def _pane_color(rng: np.random.Generator) -> tuple[float, float, float, float]:
    value = rng.uniform(0.12, 0.4)
    return (value, value * rng.uniform(0.95, 1.05), value * rng.uniform(0.95, 1.15), 0.0)


def _window(
    texture: Texture, rng: np.random.Generator, x0: float, y0: float, x1: float, y1: float
) -> None:
    bright = rng.random() < 0.7
    frame = (*(np.ones(3) * (rng.uniform(0.7, 0.95) if bright else rng.uniform(0.1, 0.4))), 0.5)
    bar = rng.uniform(0.012, 0.03)
    _fill(texture, x0 - bar, y0 - bar, x1 + bar, y1 + bar, frame)
    _fill(texture, x0, y0, x1, y1, _pane_color(rng))
    if rng.random() < 0.5:
        curtain = rng.uniform(0.4, 0.8)
        depth = rng.uniform(0.1, 0.4) * (x1 - x0)
        rgba = (curtain, curtain * 0.97, curtain * 0.9, 0.12)
        _fill(texture, x0, y0, x0 + depth, y1, rgba)
        _fill(texture, x1 - depth, y0, x1, y1, rgba)
    elif rng.random() < 0.4:
        blind = rng.uniform(0.4, 0.8)
        _fill(texture, x0, y1 - (y1 - y0) * rng.uniform(0.2, 0.9), x1, y1, (*[blind] * 3, 0.12))
    for k in range(1, int(rng.integers(1, 4))):
        x = x0 + (x1 - x0) * k / 3 if rng.random() < 0.3 else (x0 + x1) / 2
        _fill(texture, x - bar / 2, y0, x + bar / 2, y1, frame)
    if rng.random() < 0.6:
        y = y0 + (y1 - y0) * rng.uniform(0.4, 0.75)
        _fill(texture, x0, y - bar / 2, x1, y + bar / 2, frame)


def facade(rng: np.random.Generator) -> Texture:
    """Return one bay of one floor ``(S, S, 4)``; row 0 is the floor line."""
    texture = np.ones((SIZE, SIZE, 4), np.float32)
    texture[..., :3] = wall(rng)
    kind = rng.random()
    if kind < 0.62:
        width, height = rng.uniform(0.28, 0.6), rng.uniform(0.4, 0.66)
        x0, y0 = 0.5 - width / 2, rng.uniform(0.16, 0.3)
        x1, y1 = x0 + width, min(y0 + height, 0.93)
        stone = rng.uniform(0.7, 1.0)
        trim = (stone, stone * 0.98, stone * 0.94, 0.5)
        if rng.random() < 0.6:
            _fill(texture, x0 - 0.05, y0 - 0.06, x1 + 0.05, y0, trim)
        if rng.random() < 0.4:
            _fill(texture, x0 - 0.05, y1, x1 + 0.05, y1 + 0.05, trim)
        if rng.random() < 0.25:
            shade = (*_paint(rng), 0.5)
            _fill(texture, x0 - width * 0.45, y0, x0, y1, shade)
            _fill(texture, x1, y0, min(x1 + width * 0.45, 1.0), y1, shade)
        _window(texture, rng, x0, y0, x1, y1)
    elif kind < 0.8:
        sill = rng.uniform(0.2, 0.42)
        _window(texture, rng, 0.0, sill, 1.0, rng.uniform(0.82, 0.95))
    else:
        texture[...] = (*(np.ones(3) * rng.uniform(0.2, 0.6)), 0.5)
        bar = rng.uniform(0.015, 0.05)
        band = rng.uniform(0.0, 0.3)
        _fill(texture, bar, band, 1 - bar, 1 - bar, _pane_color(rng))
        if rng.random() < 0.5:
            _fill(texture, 0.49, band, 0.51, 1.0, (*(np.ones(3) * 0.5), 0.5))
    if rng.random() < 0.35:
        line = rng.uniform(0.6, 1.0)
        _fill(texture, 0.0, 0.95, 1.0, 1.0, (line, line, line * 0.95, 1.0))
    return texture


def _paint(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return a shop's colour: dark, muted, or now and then a loud one."""
    color = rng.uniform(0.03, 0.9, 3) * rng.choice([0.35, 0.7, 1.0])
    return np.asarray(color.mean() + rng.choice([0.15, 0.45, 1.0]) * (color - color.mean()))


def shop(rng: np.random.Generator) -> Texture:
    """Return one bay of a ground floor ``(S, S, 4)``: window, door, fascia with lettering."""
    texture = np.ones((SIZE, SIZE, 4), np.float32)
    texture[..., :3] = wall(rng)
    paint = (*_paint(rng), 0.5)
    plinth = rng.uniform(0.03, 0.2)
    _fill(texture, 0.0, 0.0, 1.0, 0.86, paint)
    _window(texture, rng, 0.05, plinth, 0.62, 0.66)
    _window(texture, rng, 0.68, 0.02, 0.95, 0.66)
    for _ in range(int(rng.integers(4, 14))):
        x, y = rng.uniform(0.07, 0.55), rng.uniform(plinth + 0.02, 0.5)
        goods = (*_paint(rng), 0.2)
        _fill(texture, x, y, x + rng.uniform(0.03, 0.1), y + rng.uniform(0.04, 0.14), goods)
    fascia = _paint(rng)
    _fill(texture, 0.0, 0.7, 1.0, 0.9, (*fascia, 0.5))
    ink = (*(1 - fascia if rng.random() < 0.6 else np.ones(3) * 0.95), 0.5)
    x = rng.uniform(0.06, 0.25)
    while x < rng.uniform(0.6, 0.95):
        width = rng.uniform(0.015, 0.045)
        low, high = rng.uniform(0.74, 0.77), rng.uniform(0.81, 0.86)
        _fill(texture, x, low, x + width, high, ink)
        if rng.random() < 0.6:
            _fill(
                texture, x + width * 0.35, low + 0.02, x + width * 0.7, high - 0.02, (*fascia, 0.5)
            )
        x += width + rng.uniform(0.008, 0.03)
    return texture
