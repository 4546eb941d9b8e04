# SPDX-License-Identifier: Apache-2.0
"""Woods and single trees beyond lawns and fields: walls of leaves that are not near."""

from dataclasses import dataclass

import numpy as np

from training.streets.mesh import Mesh
from training.streets.roads import Road
from training.streets.shapes import pose
from training.streets.site import Site

Designs = list[tuple[str, Mesh]]

# How often a side of a road runs along a wood.
_SHARE = {"suburb": 0.65, "highway": 0.5, "residential": 0.25, "retail": 0.3}
# Of these, how often one sees no light between the trunks, and how often trees stand on the lawn.
_CLOSED, _DOTTED = 0.5, 0.5
_BEYOND = 70.0


def plant_woods(
    site: Site,
    road: Road,
    front: tuple[float, float],
    trees: Designs,
    shrubs: Designs,
    rng: np.random.Generator,
) -> None:
    """Plant woods along both sides of a road, in stretches, 10 to 60 m from its front.

    Some are rows of trees with sky between the trunks, others are closed: taller, denser and
    full of undergrowth. Single large trees may stand before them.

    Args:
        site: Where to.
        road: Along what.
        front: Where private land begins, metres to the left and to the right of the centre line.
        trees: Designs.
        shrubs: Designs of the undergrowth.
        rng: Source of places.
    """
    for side, near in ((1, front[0]), (-1, front[1])):
        if rng.random() > _SHARE.get(road.kind, 0.0):
            continue
        planter = _Planter(site, road, side, rng)
        edge = near + rng.uniform(8, 55)
        wood = _closed(rng) if rng.random() < _CLOSED else _open(rng)
        dotted = rng.random() < _DOTTED
        s = -_BEYOND
        while s < road.line.length + _BEYOND:
            end = s + rng.uniform(30, 160)
            planter.wood(wood, (s, end), edge, trees, shrubs)
            if dotted and edge > near + 10:
                planter.dots((s, end), (near + 3, edge - 5), trees)
            edge = max(near + 8, edge + rng.normal(0, 8))
            s = end + (rng.uniform(5, 50) if rng.random() < 0.6 else 0.0)


@dataclass(frozen=True, slots=True)
class _Wood:
    """How a wood grows: metres between trees, rows, their scale, metres between shrubs."""

    spacing: float
    rows: int
    scale: tuple[float, float]
    undergrowth: float | None


def _open(rng: np.random.Generator) -> _Wood:
    return _Wood(rng.uniform(2.8, 5.5), int(rng.integers(1, 4)), (1.0, 2.1), None)


def _closed(rng: np.random.Generator) -> _Wood:
    return _Wood(
        rng.uniform(2.4, 3.8), int(rng.integers(2, 5)), (1.2, 2.5), float(rng.uniform(1.2, 2.6))
    )


@dataclass(frozen=True, slots=True)
class _Planter:
    """Plants along one side of a road."""

    site: Site
    road: Road
    side: int
    rng: np.random.Generator

    def wood(
        self, wood: _Wood, span: tuple[float, float], edge: float, trees: Designs, shrubs: Designs
    ) -> None:
        for row in range(wood.rows):
            for s in np.arange(*span, wood.spacing):
                self._plant(s, edge + 4.5 * row, trees, wood.scale)
        if wood.undergrowth is not None:
            for depth in (-1.0, 4.0):
                for s in np.arange(*span, wood.undergrowth):
                    self._plant(s, edge + depth, shrubs, (1.0, 2.8))

    def dots(
        self, span: tuple[float, float], between: tuple[float, float], trees: Designs
    ) -> None:
        s = span[0] + self.rng.uniform(0, 20)
        while s < span[1]:
            self._plant(s, self.rng.uniform(*between), trees, (1.2, 2.4))
            s += self.rng.uniform(7, 30)

    def _plant(self, s: float, d: float, designs: Designs, scale: tuple[float, float]) -> None:
        s, d = float(s) + self.rng.normal(0, 0.8), self.side * d + self.rng.normal(0, 1.2)
        if not self.site.open_land(self.road.line.at(s, d)):
            return
        name, mesh = designs[int(self.rng.integers(len(designs)))]
        x, y, z = self.site.world(self.road, s, d)
        turn = self.rng.uniform(0, 2 * np.pi)
        self.site.place(name, mesh, pose(x, y, z, turn, self.rng.uniform(*scale)))
