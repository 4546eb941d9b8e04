# SPDX-License-Identifier: Apache-2.0
"""Street furniture and trees along a road."""

from collections.abc import Callable

import numpy as np

from training.streets import furniture, vegetation
from training.streets.appearance import AppearancePool
from training.streets.ground import Mouth
from training.streets.mesh import Material, Mesh
from training.streets.roads import Road, RoadKind
from training.streets.shapes import pose
from training.streets.site import Site

# How often a side of a road is planted with a row of trees.
_TREES: dict[RoadKind, float] = {
    "boulevard": 0.75,
    "suburb": 0.8,
    "residential": 0.55,
    "high_street": 0.3,
    "retail": 0.5,
    "highway": 0.25,
    "lane": 0.1,
    "pedestrian": 0.4,
}
Stock = dict[str, list[tuple[str, Mesh]]]
_MAKERS: dict[str, tuple[Callable[[np.random.Generator], Mesh], int]] = {
    "lamp": (furniture.street_lamp, 2),
    "pole": (furniture.utility_pole, 1),
    "light": (furniture.traffic_light, 3),
    "sign": (furniture.traffic_sign, 7),
    "board": (furniture.gantry_sign, 2),
    "bollard": (furniture.bollard, 2),
    "clutter": (furniture.clutter, 6),
    "shelter": (furniture.bus_shelter, 1),
    "shrub": (vegetation.shrub, 3),
}


def stock(pool: AppearancePool, rng: np.random.Generator, *, season: str) -> Stock:
    """Return the designs that one town uses; ``season`` is "leafy", "bare" or "mixed"."""
    designs: Stock = {}
    for kind, (maker, count) in _MAKERS.items():
        designs[kind] = [(f"{kind}/{k}", maker(pool.style(kind, rng))) for k in range(count)]
    bare_share = {"leafy": 0.0, "mixed": 0.4, "bare": 0.85}[season]
    trees = []
    for k in range(7):
        if rng.random() < bare_share:
            mesh = vegetation.bare_tree(pool.style("bare", rng))
        elif rng.random() < 0.22:
            mesh = vegetation.conifer(pool.style("conifer", rng))
        else:
            mesh = vegetation.leafy_tree(pool.style("tree", rng))
        trees.append((f"tree/{k}", mesh))
    designs["tree"] = trees
    old = vegetation.bare_tree if season == "bare" else vegetation.old_tree
    designs["old_tree"] = [(f"old_tree/{k}", old(pool.style("old_tree", rng))) for k in range(3)]
    return designs


class Furnisher:
    """Places a town's furniture along one road.

    Args:
        site: Where to.
        road: Along what.
        designs: What there is.
        rng: Source of places.
        mouths: Junctions to keep clear.
    """

    def __init__(
        self, site: Site, road: Road, designs: Stock, rng: np.random.Generator, mouths: list[Mouth]
    ) -> None:
        self._site, self._road, self._stock = site, road, designs
        self._rng, self._mouths = rng, mouths

    def _clear(self, s: float, side: int) -> bool:
        return all(
            m.side != side or abs(s - m.station) > m.half_width + m.radius * 0.7
            for m in self._mouths
        )

    def _put(self, kind: str, s: float, d: float, *, design: int | None = None) -> None:
        options = self._stock[kind]
        index = int(self._rng.integers(len(options))) if design is None else design % len(options)
        name, mesh = options[index]
        lettered = kind in ("sign", "board")
        matrix = self._site.facing(self._road, s, d, mirrored=not lettered)
        if kind in ("tree", "shrub"):
            turn = pose(0, 0, 0, self._rng.uniform(0, 6.28), self._rng.uniform(0.75, 1.2))
            matrix = matrix @ turn
        self._site.place(name, mesh, matrix)
        if kind == "lamp":
            bulb = mesh.vertices["position"][mesh.vertices["info"] >> 12 & 15 == Material.EMISSIVE]
            self._site.lamps.append(matrix[:3, :3] @ bulb.mean(0) + matrix[:3, 3])
        spread = {"tree": 2.0, "shrub": 2.2, "clutter": 1.2, "shelter": 4.0}.get(kind, 0.5)
        self._site.shade(matrix @ np.diag([spread, spread, 1.0, 1.0]))

    def furnish(self, span: tuple[float, float]) -> None:
        """Furnish a stretch of both sides."""
        for side in (1, -1):
            self._row("lamp", span, side, self._rng.uniform(18, 45), same=True)
            if self._road.kind in ("suburb", "residential") and self._rng.random() < 0.5:
                self._row("pole", span, side, self._rng.uniform(28, 45), same=True)
            self._trees(span, side)
            self._sprinkle(span, side)
        for mouth in self._mouths:
            self._junction(mouth)

    def _edge(self, side: int) -> float:
        """Return d just behind the curb."""
        return side * (self._road.curb(side) + 0.45)

    def _row(
        self, kind: str, span: tuple[float, float], side: int, pitch: float, *, same: bool
    ) -> None:
        if self._rng.random() < 0.25:
            return
        design = int(self._rng.integers(8)) if same else None
        d = self._edge(side) + side * self._rng.uniform(0, 0.6)
        for s in np.arange(span[0] + self._rng.uniform(0, pitch), span[1], pitch):
            if self._clear(float(s), side):
                self._put(kind, float(s), d, design=design)

    def _trees(self, span: tuple[float, float], side: int) -> None:
        road, rng = self._road, self._rng
        verge = road.band(side, "verge")
        walk = road.band(side, "sidewalk")
        if rng.random() < _TREES[road.kind] and (
            verge or (walk and walk.outer - walk.inner > 2.2)
        ):
            d = side * verge.middle if verge else self._edge(side) + side * 0.4
            pitch, one_kind = rng.uniform(7, 18), rng.random() < 0.7
            design = int(rng.integers(8)) if one_kind else None
            for s in np.arange(span[0] + rng.uniform(0, pitch), span[1], pitch):
                place = float(s) + rng.uniform(-1, 1)
                if self._clear(place, side) and rng.random() < 0.9:
                    self._put("tree", place, d, design=design)
        # Banks are overgrown, or mown and bare.
        lush = rng.uniform() ** 2
        for kind, per_metre in (("garden", 0.1), ("bank", 0.12 * lush), ("plaza", 0.015)):
            band = road.band(side, kind)  # type: ignore[arg-type]
            if band is None:
                continue
            for _ in range(rng.poisson(per_metre * (span[1] - span[0]))):
                s, d = rng.uniform(*span), side * rng.uniform(band.inner + 0.8, band.outer)
                what = "tree" if rng.random() < 0.5 else "shrub"
                if self._clear(s, side) and self._site.open_land(road.line.at(s, d)):
                    self._put(what, s, d)

    def _sprinkle(self, span: tuple[float, float], side: int) -> None:
        road, rng = self._road, self._rng
        length = span[1] - span[0]
        walk = road.band(side, "sidewalk")
        rates = {"sign": 0.035, "board": 0.004, "clutter": 0.02 if walk else 0.0}
        if road.kind == "highway":
            rates = {"sign": 0.015, "board": 0.012, "clutter": 0.001}
        for kind, rate in rates.items():
            for _ in range(rng.poisson(rate * length)):
                s = rng.uniform(*span)
                d = self._edge(side)
                if kind == "clutter" and walk and rng.random() < 0.5:
                    d = side * (walk.outer - 0.5)
                if self._clear(s, side):
                    self._put(kind, s, d)
        if walk and rng.random() < 0.35 and road.kind != "suburb":
            start, count = rng.uniform(*span), int(rng.integers(4, 16))
            pitch, design = rng.uniform(1.2, 2.4), int(rng.integers(8))
            for s in start + np.arange(count) * pitch:
                if self._clear(float(s), side):
                    self._put("bollard", float(s), self._edge(side) - side * 0.1, design=design)
        if walk and walk.outer - walk.inner > 2.4 and rng.random() < 0.3:
            s = rng.uniform(*span)
            if self._clear(s, side) and self._clear(s + 5, side):
                self._put("shelter", s, side * (walk.outer - 1.2))

    def _junction(self, mouth: Mouth) -> None:
        """Put signals or signs at the corners of a junction."""
        rng = self._rng
        signals = rng.random() < 0.6
        reach = mouth.half_width + mouth.radius + 0.3
        for end in (-1, 1):
            for side in (-1, 1):
                s = mouth.station + end * (reach + rng.uniform(0.2, 1.5))
                if signals and rng.random() < 0.8:
                    self._put("light", s, self._edge(side))
                elif rng.random() < 0.5:
                    self._put("sign", s, self._edge(side))
