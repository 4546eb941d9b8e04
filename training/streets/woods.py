# SPDX-License-Identifier: Apache-2.0
"""Woods and single trees beyond lawns and fields: walls of leaves that are not near."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.streets.mesh import Mesh
from training.streets.roads import Road
from training.streets.shapes import pose
from training.streets.site import Site

Designs = Mapping[str, Sequence[tuple[str, Mesh]]]

# How often a side of a road runs along a wood.
_SHARE = {"suburb": 0.75, "highway": 0.5, "residential": 0.35, "retail": 0.3}
_DOTTED = 0.5
# How often another wood closes the view below the crowns of the first.
_LAYERED = 0.6
_BEYOND = 70.0


def plant_woods(
    site: Site,
    road: Road,
    front: tuple[float, float],
    designs: Designs,
    rng: np.random.Generator,
) -> None:
    """Plant woods along both sides of a road, in stretches, 12 to 75 m from its front.

    Some are rows of trees with sky between the trunks, some are closed: taller, denser and full of
    undergrowth, and some are groves of old trees whose crowns meet. Another wood may stand behind,
    single large trees before them.

    Args:
        site: Where to.
        road: Along what.
        front: Where private land begins, metres to the left and to the right of the centre line.
        designs: The town's "tree", "old_tree" and "shrub".
        rng: Source of places.
    """
    for side, near in ((1, front[0]), (-1, front[1])):
        if rng.random() > _SHARE.get(road.kind, 0.0):
            continue
        planter = _Planter(site, road, side, designs, rng)
        wood = (_open, _closed, _grove)[int(rng.integers(3))](rng)
        edge = near + rng.uniform(*wood.edge)
        dotted = rng.random() < _DOTTED
        behind = _closed(rng) if rng.random() < _LAYERED else None
        gap = wood.row_spacing * wood.rows + rng.uniform(15, 45)
        s = -_BEYOND
        while s < road.line.length + _BEYOND:
            end = s + rng.uniform(30, 160)
            planter.wood(wood, (s, end), edge)
            if behind is not None:
                planter.wood(behind, (s, end), edge + gap)
            if dotted and edge > near + 15:
                planter.dots((s, end), (near + 10, edge - 3))
            edge = max(near + wood.edge[0], edge + rng.normal(0, 8))
            s = end + (rng.uniform(5, 50) if rng.random() < 0.6 else 0.0)


@dataclass(frozen=True, slots=True)
class _Wood:
    """How a wood grows; lengths in metres.

    Attributes:
        tree: Designs of its trees.
        spacing: Between trees of a row.
        rows: How many, ``row_spacing`` apart.
        scale: Of the trees.
        undergrowth: Between shrubs, None for no shrubs.
        edge: From the road's front to the first row.
    """

    tree: str
    spacing: float
    rows: int
    row_spacing: float
    scale: tuple[float, float]
    undergrowth: float | None
    edge: tuple[float, float]


def _open(rng: np.random.Generator) -> _Wood:
    rows = int(rng.integers(1, 4))
    return _Wood("tree", rng.uniform(2.8, 5.5), rows, 4.5, (1.0, 2.1), None, (12, 75))


def _closed(rng: np.random.Generator) -> _Wood:
    rows, shrubs = int(rng.integers(2, 5)), float(rng.uniform(1.2, 2.6))
    return _Wood("tree", rng.uniform(2.4, 3.8), rows, 4.5, (1.2, 2.5), shrubs, (12, 75))


def _grove(rng: np.random.Generator) -> _Wood:
    rows = int(rng.integers(1, 4))
    shrubs = float(rng.uniform(3, 12)) if rng.random() < 0.4 else None
    return _Wood("old_tree", rng.uniform(5, 12), rows, 8.0, (0.75, 1.2), shrubs, (15, 75))


@dataclass(frozen=True, slots=True)
class _Planter:
    """Plants along one side of a road."""

    site: Site
    road: Road
    side: int
    designs: Designs
    rng: np.random.Generator

    def wood(self, wood: _Wood, span: tuple[float, float], edge: float) -> None:
        for row in range(wood.rows):
            for s in np.arange(*span, wood.spacing):
                self._plant(s, edge + wood.row_spacing * row, wood.tree, wood.scale)
        if wood.undergrowth is not None:
            for depth in (-1.0, 4.0):
                for s in np.arange(*span, wood.undergrowth):
                    self._plant(s, edge + depth, "shrub", (1.0, 2.8))

    def dots(self, span: tuple[float, float], between: tuple[float, float]) -> None:
        s = span[0] + self.rng.uniform(0, 20)
        while s < span[1]:
            d = self.rng.uniform(*between)
            if self.rng.random() < 0.5:
                self._plant(s, d, "old_tree", (0.75, 1.2))
            else:
                self._plant(s, d, "tree", (1.2, 2.4))
            s += self.rng.uniform(7, 30)

    def _plant(self, s: float, d: float, kind: str, scale: tuple[float, float]) -> None:
        s, d = float(s) + self.rng.normal(0, 0.8), self.side * d + self.rng.normal(0, 1.2)
        if not self.site.open_land(self.road.line.at(s, d)):
            return
        options = self.designs[kind]
        name, mesh = options[int(self.rng.integers(len(options)))]
        x, y, z = self.site.world(self.road, s, d)
        turn = self.rng.uniform(0, 2 * np.pi)
        self.site.place(name, mesh, pose(x, y, z, turn, self.rng.uniform(*scale)))
