# SPDX-License-Identifier: Apache-2.0
"""A hood over the lower edge of a view, which mirrors what the view shows.

Cameras on vehicles and robots often see what carries them. Where that is polished, the mirrored
trees and sky look like ground far below, and all ground near it is taken for farther than it is.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from depthlab_core.labels import CITYSCAPES
from training.datasets.sample import Sample

_MOST_ROWS = 0.5


def cover_with_hood(view: Sample, rng: np.random.Generator) -> Sample:
    """Hide the lower part of a view, at most half of each column, behind a hood.

    Returns:
        The view with a hood that is unlabelled and has no depth, as own vehicles are in
        Cityscapes. What is left of an instance stays an instance.
    """
    height, width = view.image.shape[:2]
    edge = _edge(height, width, rng)
    rows = np.arange(height, dtype=np.float32)[:, None]
    mask = rows >= edge
    image = np.where(mask[..., None], _polish(view.image, edge, rng), view.image)
    semantic, panoptic, depth = view.semantic, view.panoptic, view.depth
    return replace(
        view,
        image=image,
        semantic=None if semantic is None else np.where(mask, CITYSCAPES.ignore_label, semantic),
        panoptic=None if panoptic is None else np.where(mask, -1, panoptic),
        depth=None if depth is None else np.where(mask, 0, depth),
    )


def _edge(height: int, width: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return the hood's first row in each column: a parabola, level from ahead, else aslant."""
    x = np.linspace(-0.5, 0.5, width)
    slope = rng.uniform(-0.6, 0.6) if rng.random() < 0.6 else rng.uniform(-0.05, 0.05)
    covered = rng.uniform(0.04, 0.28) + slope * x - rng.uniform(0.0, 0.5) * x**2
    return (height * (1 - np.clip(covered, 0, _MOST_ROWS))).astype(np.float32)


def _polish(
    image: npt.NDArray[np.uint8], edge: npt.NDArray[np.float32], rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Return paint that mirrors the image in all rows below ``edge``."""
    height, width = image.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    # What lies level mirrors as far over the horizon as it is seen below it, so never the ground.
    # Its edge is round, and mirrors what stands at about the horizon.
    horizon = height * rng.uniform(0.3, 0.55)
    source_row = np.float32(horizon) - (rows - edge) * np.float32(rng.uniform(0.8, 4.0))
    waves = np.sin(rows / np.float32(rng.uniform(3, 20)) + np.float32(rng.uniform(0, 6)))
    source_column = columns + waves * np.float32(rng.uniform(0, 4))
    mirrored = cv2.remap(
        image, source_column, source_row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    mirrored = cv2.GaussianBlur(mirrored, (0, 0), float(rng.uniform(0.3, 2.5)))
    strength, shine = rng.uniform(0.15, 1.0), rng.uniform(0.4, 1.0)
    paint = rng.uniform(0, 230) * rng.uniform(0.7, 1.1, 3)
    color = shine * (strength * mirrored + (1 - strength) * paint)
    return np.clip(color, 0, 255).astype(np.uint8)
