# SPDX-License-Identifier: Apache-2.0
"""Bicycles and motorcycles without their riders. x forward, origin on the ground; slot 0 paint."""

import numpy as np

from training.streets import textures
from training.streets.cars import VehicleDesign
from training.streets.classes import SemanticClass
from training.streets.mesh import Material, Surface, merge
from training.streets.shapes import box, card, ellipsoid, tube, wheel


def bicycle(rng: np.random.Generator) -> VehicleDesign:
    """Return a bicycle."""
    semantic = SemanticClass.BICYCLE
    frame = Surface(semantic, slot=0)
    black = Surface(semantic, color=(26, 26, 27))
    veil = Surface(semantic, layer=textures.SPOKES, material=Material.VEIL)
    radius, base = rng.uniform(0.31, 0.36), rng.uniform(0.98, 1.08)
    rear, front = -base * 0.42, base * 0.58
    seat, bar = np.array([-0.12, 0, 0.98]), np.array([front - 0.2, 0, rng.uniform(0.98, 1.12)])
    crank, head = np.array([0.02, 0, 0.28]), np.array([front - 0.13, 0, 0.82])
    seat_top = np.array([-0.1, 0, 0.82])
    low = rng.random() < 0.35
    tubes = [
        [crank, seat_top],
        [seat_top if not low else np.array([-0.04, 0, 0.5]), head],
        [crank, head],
        [crank, np.array([rear, 0, radius])],
        [seat_top, np.array([rear, 0, radius])],
        [head, np.array([front, 0, radius])],
        [head, bar],
        [seat_top, seat],
    ]
    parts = [tube(np.stack(pair), 0.02, frame, sides=5) for pair in tubes]
    parts.append(
        tube(np.stack([bar + [0.05, -0.28, 0], bar, bar + [0.05, 0.28, 0]]), 0.017, black, sides=4)
    )
    parts.append(ellipsoid(seat, (0.13, 0.07, 0.035), black, sides=6, rings=4))
    angle = np.linspace(0, 2 * np.pi, 17)
    for x in (rear, front):
        ring = np.stack(
            [x + radius * np.cos(angle), 0 * angle, radius + radius * np.sin(angle)], -1
        )
        parts.append(tube(ring, 0.021, black, sides=5, caps=False))
        size = 2 * radius
        parts.append(card((x - radius, 0, 0), (size, 0, 0), (0, 0, size), veil))
    if rng.random() < 0.5:
        parts.append(box((0.36, 0.1, 0.02), black, center=(rear, 0, 2 * radius + 0.03)))
    if rng.random() < 0.25:
        basket = Surface(semantic, layer=textures.PLANKS, color=(150, 120, 80))
        parts.append(box((0.26, 0.32, 0.22), basket, center=(front + 0.05, 0, 0.85)))
    return VehicleDesign(merge(parts), base + 2 * radius, 0.6, 1.1, semantic)


def motorcycle(rng: np.random.Generator) -> VehicleDesign:
    """Return a motorcycle or a scooter."""
    semantic = SemanticClass.MOTORCYCLE
    paint = Surface(semantic, material=Material.PAINT, slot=0)
    black = Surface(semantic, color=(28, 28, 30))
    metal = Surface(semantic, color=(120, 120, 122))
    scooter = rng.random() < 0.4
    radius = rng.uniform(0.22, 0.26) if scooter else rng.uniform(0.29, 0.33)
    base = rng.uniform(1.2, 1.5)
    rear, front = -base * 0.5, base * 0.5
    rim = Surface(semantic, layer=textures.SPOKES, color=(150, 150, 150))
    parts = [wheel((x, 0, radius), radius, 0.14, black, rim) for x in (rear, front)]
    bar = np.array([front - 0.32, 0, rng.uniform(0.98, 1.1)])
    parts.append(tube(np.stack([np.array([front, 0, radius]), bar]), 0.035, metal, sides=5))
    parts.append(
        tube(np.stack([bar + [-0.1, -0.34, 0], bar, bar + [-0.1, 0.34, 0]]), 0.02, black, sides=4)
    )
    lamp = Surface(semantic, material=Material.GLASS, color=(230, 230, 225))
    parts.append(ellipsoid(bar + [0.1, 0, -0.14], (0.08, 0.1, 0.1), lamp, sides=6, rings=4))
    if scooter:
        shield = np.array(
            [[front - 0.2, 0, 0.35], [front - 0.28, 0, 0.6], [front - 0.32, 0, 0.92]]
        )
        parts.append(tube(shield, np.array([0.2, 0.24, 0.14]), paint, squash=0.35, sides=8))
        parts.append(box((0.5, 0.3, 0.08), black, center=(0.05, 0, 0.3)))
        parts.append(ellipsoid((rear + 0.12, 0, 0.52), (0.42, 0.19, 0.22), paint))
        parts.append(ellipsoid((rear + 0.16, 0, 0.77), (0.36, 0.14, 0.07), black))
        if rng.random() < 0.4:
            parts.append(box((0.4, 0.42, 0.4), paint, center=(rear - 0.2, 0, 0.82)))
    else:
        parts.append(ellipsoid((0.1, 0, 0.5), (0.34, 0.16, 0.24), metal))
        parts.append(ellipsoid((0.16, 0, 0.82), (0.3, 0.16, 0.14), paint))
        parts.append(ellipsoid((-0.28, 0, 0.8), (0.36, 0.13, 0.07), black))
        parts.append(ellipsoid((rear + 0.06, 0, 0.78), (0.25, 0.09, 0.08), paint))
        exhaust = np.array([[0.1, -0.16, 0.32], [-0.35, -0.18, 0.34], [rear - 0.1, -0.2, 0.42]])
        parts.append(tube(exhaust, 0.05, metal, sides=6))
    tail = Surface(semantic, material=Material.GLASS, color=(190, 20, 20))
    parts.append(box((0.05, 0.14, 0.08), tail, center=(rear - 0.22, 0, 0.74)))
    return VehicleDesign(merge(parts), base + 2 * radius, 0.75, 1.2, semantic)
