# SPDX-License-Identifier: Apache-2.0
"""Edges of woods beyond lawns and fields: a wall of leaves that is not near."""

import numpy as np

from training.streets.mesh import Mesh
from training.streets.roads import Road
from training.streets.shapes import pose
from training.streets.site import Site

# How often a side of a road runs along a wood.
_SHARE = {"suburb": 0.65, "highway": 0.5, "residential": 0.25, "retail": 0.3}
_BEYOND = 70.0


def plant_woods(
    site: Site,
    road: Road,
    front: tuple[float, float],
    trees: list[tuple[str, Mesh]],
    rng: np.random.Generator,
) -> None:
    """Plant rows of trees along both sides of a road, in stretches, 10 to 60 m from its front.

    Args:
        site: Where to.
        road: Along what.
        front: Where private land begins, metres to the left and to the right of the centre line.
        trees: Designs.
        rng: Source of places.
    """
    for side, near in ((1, front[0]), (-1, front[1])):
        if rng.random() > _SHARE.get(road.kind, 0.0):
            continue
        edge = near + rng.uniform(8, 55)
        spacing, rows = rng.uniform(2.8, 5.5), int(rng.integers(1, 4))
        s = -_BEYOND
        while s < road.line.length + _BEYOND:
            end = s + rng.uniform(30, 160)
            for row in range(rows):
                for station in np.arange(s, end, spacing):
                    _plant(site, road, float(station), side * (edge + 4.5 * row), trees, rng)
            edge = max(near + 8, edge + rng.normal(0, 8))
            s = end + (rng.uniform(5, 50) if rng.random() < 0.6 else 0.0)


def _plant(
    site: Site,
    road: Road,
    s: float,
    d: float,
    trees: list[tuple[str, Mesh]],
    rng: np.random.Generator,
) -> None:
    s, d = s + rng.normal(0, 0.8), d + rng.normal(0, 1.2)
    if not site.open_land(road.line.at(s, d)):
        return
    name, mesh = trees[int(rng.integers(len(trees)))]
    x, y, z = site.world(road, s, d)
    site.place(name, mesh, pose(x, y, z, rng.uniform(0, 6.28), rng.uniform(1.0, 2.1)))
