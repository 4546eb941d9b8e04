# SPDX-License-Identifier: Apache-2.0
"""What a camera sees of the vehicle that carries it: a hood or a flank below, a roof's edge above.

The camera is the origin; x points where it looks to over the vehicle, y to the left, z up.
"""

import numpy as np

from training.streets.classes import SemanticClass
from training.streets.mesh import Color, Material, Mesh, Surface, grid, merge, rgb

# How often the edge of the roof shows where the hood does.
_ROOF_SHARE = 0.35


def own_vehicle(
    rng: np.random.Generator, view: tuple[float, float], *, slanted: bool
) -> tuple[Mesh, Color]:
    """Return a hood whose front edge shows in the lower part of the image, often with a roof.

    Args:
        rng: Source of its shape.
        view: Angles up to the upper edge of the image and down to the lower one, radians.
        slanted: A flank or a roof, seen askew by a camera that looks sideways; it may cover more.

    Returns:
        Its mesh and its colour.
    """
    above, below = view
    parts = [_hood(rng, below, slanted=slanted)]
    if rng.random() < _ROOF_SHARE:
        parts.append(_roof(rng, above, slanted=slanted))
    value = float(rng.choice([20, 30, 60, 120, 200, 230]))
    return merge(parts), rgb(value * (1 + rng.uniform(-0.15, 0.15, 3)))


def _hood(rng: np.random.Generator, below: float, *, slanted: bool) -> Mesh:
    reach = rng.uniform(1.1, 2.0)
    tip_angle = below * rng.uniform(0.5 if slanted else 0.78, 0.97)
    top = -reach * np.tan(tip_angle)
    width = rng.uniform(2.0, 5.0) if slanted else rng.uniform(1.4, 1.9)
    x = np.linspace(0.05, 1, 9) * reach
    y = np.linspace(-1, 1, 13) * width / 2
    grid_x, grid_y = np.meshgrid(x, y)
    bulge = 1 - (np.abs(grid_y) / (width / 2)) ** 2.5
    round_off = reach * 0.12 * (1 - bulge)
    z = top + 0.05 * (1 - grid_x / reach) - 0.1 * (1 - bulge)
    if slanted:
        z = z + rng.uniform(-0.3, 0.3) * grid_y
    points = np.stack([grid_x - round_off * grid_x / reach, grid_y, z], -1)
    material = Material.PAINT if rng.random() < 0.8 else Material.MATTE
    return grid(points, Surface(SemanticClass.IGNORE, material=material, slot=0))


def _roof(rng: np.random.Generator, above: float, *, slanted: bool) -> Mesh:
    # Dark, since its lower side is seen: lining, or a camera's own housing.
    ahead = 0.6
    y = np.linspace(-1.5, 1.5, 31)
    # Askew it hides one corner of the image, straight on both.
    towards = float(rng.choice([-1, 1]))
    corner = np.maximum(towards * y, 0) if slanted else y
    edge = ahead * np.tan(above * rng.uniform(0.85, 1.1)) - rng.uniform(0.1, 0.8) * corner**2
    rise = np.array([0.0, 1.5])
    points = np.stack(np.broadcast_arrays(ahead, y[:, None], edge[:, None] + rise), -1)
    surface = Surface(SemanticClass.IGNORE, color=rgb(np.full(3, rng.uniform(8, 60))))
    return grid(points, surface)
