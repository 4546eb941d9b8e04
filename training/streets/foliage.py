# SPDX-License-Identifier: Apache-2.0
"""Leaf, twig and hedge textures; alpha is transparency."""

import cv2
import numpy as np
import numpy.typing as npt

from training.streets.noise import noise

SIZE = 256
Texture = npt.NDArray[np.float32]


def _leaf_color(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    if rng.random() < 0.12:
        return np.array([rng.uniform(0.5, 0.7), rng.uniform(0.35, 0.5), rng.uniform(0.15, 0.25)])
    green = rng.uniform(0.3, 0.52)
    return np.array([green * rng.uniform(0.62, 0.95), green, green * rng.uniform(0.35, 0.7)])


def leaves(rng: np.random.Generator) -> Texture:
    """Return a clump of leaves ``(S, S, 4)`` with ragged edges."""
    color = _leaf_color(rng)
    canvas = np.zeros((SIZE, SIZE, 4), np.float32)
    reach, size = 0.46 * SIZE, rng.uniform(4, 11)
    # Far away, where a texel is a mean over many leaves, a clump shows if it covers half its disc.
    clear = rng.uniform(0.15, 0.45)
    count = int(-np.log(clear) * reach**2 / (0.45 * size**2))
    for depth in np.linspace(0.45, 1.15, count):
        radius = reach * np.sqrt(rng.random())
        angle = rng.uniform(0, 2 * np.pi)
        at = (
            int(SIZE / 2 + radius * np.cos(angle)),
            int(SIZE / 2 + radius * np.sin(angle)),
        )
        axes = (max(int(size * rng.uniform(0.6, 1.2)), 1), max(int(size * 0.5), 1))
        shade = color * depth * rng.uniform(0.8, 1.2)
        cv2.ellipse(
            canvas, at, axes, float(rng.uniform(0, 180)), 0, 360, (*shade.tolist(), 1.0), -1
        )
    empty = canvas[..., 3] == 0
    canvas[empty, :3] = color * 0.7
    return np.clip(canvas, 0, 1)


def twigs(rng: np.random.Generator) -> Texture:
    """Return a leafless crown ``(S, S, 4)``: dark twigs in a disc that is nearly clear.

    The clear part of the disc keeps a trace of alpha, because annotators outline the whole crown.
    """
    value = rng.uniform(0.16, 0.4)
    color = (value, value * rng.uniform(0.85, 0.95), value * rng.uniform(0.7, 0.9))
    canvas = np.zeros((SIZE, SIZE, 4), np.float32)
    canvas[..., :3] = color
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE - 0.5
    reach = 0.44 + 0.12 * (noise(rng, SIZE, exponent=2.2) - 0.5)
    canvas[np.hypot(x, y) < reach, 3] = 0.03
    opacity = np.zeros((SIZE, SIZE), np.float32)
    stems = [(SIZE / 2, 20.0, np.pi / 2 + rng.uniform(-0.3, 0.3), 62.0, 7.0)]
    for _ in range(int(rng.integers(700, 1300))):
        if not stems:
            break
        sx, sy, angle, length, thick = stems.pop(0)
        ex, ey = sx + length * np.cos(angle), sy + length * np.sin(angle)
        cv2.line(
            opacity,
            (int(sx), int(sy)),
            (int(ex), int(ey)),
            0.92,
            max(round(thick), 1),
            cv2.LINE_AA,
        )
        for _ in range(3):
            stems.append(
                (
                    sx + (ex - sx) * rng.uniform(0.5, 1),
                    sy + (ey - sy) * rng.uniform(0.5, 1),
                    angle + rng.normal(0, 0.6),
                    length * rng.uniform(0.66, 0.9),
                    thick * 0.62,
                )
            )
    canvas[..., 3] = np.where(canvas[..., 3] > 0, np.maximum(canvas[..., 3], opacity), 0)
    return canvas


def hedge(rng: np.random.Generator) -> Texture:
    """Return dense leaves ``(S, S, 3)`` without holes."""
    fine, broad = noise(rng, SIZE, exponent=0.8), noise(rng, SIZE, exponent=2.2)
    value = 0.7 + 1.1 * (fine - 0.5) + 0.7 * (broad - 0.5)
    texture = value[..., None] * _leaf_color(rng)
    return np.clip(texture, 0, 1).astype(np.float32)
