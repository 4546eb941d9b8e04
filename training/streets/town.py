# SPDX-License-Identifier: Apache-2.0
"""A town: one main street, its side streets, everything along them, and everyone in them."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training.streets import furnishing, ground, horizon, lots, traffic, woods
from training.streets.actors import Actor, Placement
from training.streets.appearance import AppearancePool
from training.streets.casting import Casting
from training.streets.curve import Relief, curve, relief
from training.streets.ground import GroundLook, Mouth, remaining_spans
from training.streets.markings import RoadPainter
from training.streets.mesh import Mesh, merge
from training.streets.mounting import CLEARANCE, Rig
from training.streets.roads import Road, RoadKind, road
from training.streets.scene import Scene
from training.streets.site import Site
from training.streets.textures import paint_atlas

ROADS: dict[RoadKind, float] = {
    "high_street": 0.17, "boulevard": 0.14, "residential": 0.15, "suburb": 0.26,
    "highway": 0.10, "retail": 0.10, "lane": 0.04, "pedestrian": 0.04,
}  # fmt: skip
"""How often a town's main street is so."""
_URBAN: tuple[RoadKind, ...] = ("high_street", "boulevard", "lane", "pedestrian")
_LENGTH = 300.0


@dataclass(frozen=True)
class Town:
    """A finished town.

    Attributes:
        site: Ground heights and what is built on them.
        scene: Everything that does not move.
        roads: The main street first.
        actors: Everyone and everything that moves or could.
        atlas: Textures ``(L, S, S, 4)``.
        season: "leafy", "mixed" or "bare".
    """

    site: Site
    scene: Scene
    roads: tuple[Road, ...]
    actors: tuple[Actor, ...]
    atlas: npt.NDArray[np.uint8]
    season: str
    _placed: dict[float, tuple[Placement, ...]] = field(default_factory=dict, repr=False)

    @property
    def urban(self) -> bool:
        """Whether buildings hide much of the sky."""
        return self.roads[0].kind in _URBAN

    def scene_at(self, time: float, hidden: frozenset[int] = frozenset()) -> Scene:
        """Return the scene at a time; ``hidden`` are indices of actors to leave out."""
        moving = Scene()
        for index, placement in enumerate(self.placements(time)):
            if index not in hidden:
                placement.show(moving)
        return self.scene.joined(moving)

    def placements(self, time: float) -> tuple[Placement, ...]:
        """Return where all actors are at a time."""
        if time not in self._placed:
            # Stills of one town share their time, a drive never comes back to one.
            self._placed.clear()
            self._placed[time] = tuple(actor.placed(self.site, time) for actor in self.actors)
        return self._placed[time]

    def in_the_way(self, rig: Rig, times: tuple[float, ...]) -> frozenset[int]:
        """Return the indices of actors that would touch the camera or its car at these times."""
        if not self.actors:
            return frozenset()
        half_length, half_width = CLEARANCE[rig.mount]
        reach = np.array([actor.reach for actor in self.actors])
        width = np.array([actor.footprint[1] / 2 for actor in self.actors])
        hidden: set[int] = set()
        for time in times:
            eye = rig.pose_at(self.site, time)[:2, 3]
            along = float(rig.road.line.heading(rig.s + rig.speed * time))
            placements = self.placements(time)
            offset = np.array([placement.ground for placement in placements]) - eye
            turn = np.array([placement.heading for placement in placements]) - along
            cosine, sine = np.abs(np.cos(turn)), np.abs(np.sin(turn))
            ahead = np.abs(offset @ [np.cos(along), np.sin(along)])
            beside = np.abs(offset @ [-np.sin(along), np.cos(along)])
            touches = (ahead < half_length + cosine * reach + sine * width) & (
                beside < half_width + sine * reach + cosine * width
            )
            hidden |= set(np.flatnonzero(touches).tolist())
        return frozenset(hidden)


def build_town(
    pool: AppearancePool, seed: int, number: int, main_street: RoadKind | None = None
) -> Town:
    """Build town ``number`` of a seed.

    Args:
        pool: Which styles may appear.
        seed: Different seeds give different towns.
        number: Which of the seed's towns.
        main_street: The kind of its main street; None: drawn by the shares of ``ROADS``.
    """
    rng = pool.town(seed, number)
    atlas = paint_atlas(pool, rng)
    kind: RoadKind = str(rng.choice(list(ROADS), p=list(ROADS.values())))  # type: ignore[assignment]
    kind = main_street or kind
    land = relief(rng)
    bend = {"highway": 0.002, "suburb": 0.006, "lane": 0.008}.get(kind, 0.004)
    if rng.random() < 0.4:
        bend = 0.0
    main_line = curve(rng, np.zeros(2), rng.uniform(0, 2 * np.pi), _LENGTH, bend)
    left_hand = bool(rng.random() < 0.4)
    sloped = kind in ("suburb", "highway") or (kind == "residential" and rng.random() < 0.3)
    main = road(rng, kind, main_line, left_hand=left_hand, sloped=sloped)
    site = Site(land, main_line.at(_LENGTH / 2))
    looks = ground.look(rng, urban=kind in _URBAN)
    site.ground(ground.countryside(land, looks, main_line.at(_LENGTH / 2)))
    mouths, side_roads = _side_roads(rng, main, left_hand)
    season = str(rng.choice(["leafy", "mixed", "bare"], p=[0.7, 0.12, 0.18]))
    designs = furnishing.stock(pool, rng, season=season)
    casting = Casting(pool, rng)
    bustle = float(rng.beta(1.2, 1.2))
    _keep_clear(site, main, (0.0, main_line.length))
    for side_road in side_roads:
        _keep_clear(site, side_road, (main.curb(1), side_road.line.length))
    actors: list[Actor] = []
    for current in (main, *side_roads):
        own = mouths if current is main else []
        start = 0.0 if current is main else main.curb(1)
        span = (start, current.line.length)
        _lay(site, land, looks, current, own, rng, extend=current is main)
        inset = (start + (0 if current is main else 14.0), current.line.length)
        lots.build_rows(site, current, inset, own, pool, rng)
        lots.fence_lots(site, current, inset, own, pool, rng)
        if current is main:
            lots.median_barrier(site, current, span, pool, rng)
        furnishing.Furnisher(site, current, designs, rng, own).furnish(inset)
        actors += traffic.populate(site, current, inset, own, casting, rng, bustle=bustle)
    lots.backdrop(site, main, pool, rng, designs["tree"])
    front = (lots.front_line(main, 1), lots.front_line(main, -1))
    woods.plant_woods(site, main, front, designs, rng)
    middle = main_line.at(_LENGTH / 2)
    if rng.random() < 0.85:
        site.surround(horizon.belt(pool.style("belt", rng), land, middle))
    if rng.random() < 0.4:
        site.surround(horizon.hills(pool.style("hills", rng), land, middle))
    return Town(site, site.scene(), (main, *side_roads), tuple(actors), atlas, season)


def _side_roads(
    rng: np.random.Generator, main: Road, left_hand: bool
) -> tuple[list[Mouth], list[Road]]:
    mouths: list[Mouth] = []
    roads: list[Road] = []
    if main.kind == "highway" or (main.kind == "suburb" and rng.random() < 0.6):
        return mouths, roads
    s = rng.uniform(45, 90)
    while s < main.line.length - 40:
        crossing = rng.random() < 0.5
        sides = (1, -1) if crossing else (int(rng.choice([-1, 1])),)
        for side in sides:
            kinds: list[RoadKind] = ["lane", "residential", "high_street"]
            kind = kinds[int(rng.integers(3))] if main.kind != "boulevard" else "high_street"
            heading = float(main.line.heading(s)) + side * np.pi / 2
            line = curve(rng, main.line.at(s), heading, rng.uniform(80, 130), 0.003)
            made = road(rng, kind, line, left_hand=left_hand, sloped=False, field=False)
            half = max(made.curb(1), made.curb(-1))
            mouths.append(Mouth(s, side, half, rng.uniform(2.5, 6.0)))
            roads.append(made)
        s += rng.uniform(55, 130)
    return mouths, roads


def _keep_clear(site: Site, current: Road, span: tuple[float, float]) -> None:
    """Reserve a road and its pavements against buildings."""
    edges = []
    for side in (-1, 1):
        bands = [b.outer for b in current.side(side) if b.kind in ("sidewalk", "verge", "parking")]
        edges.append(side * max([current.half_width, *bands]))
    site.reserve(site.footprint(current, span, (edges[0], edges[1])))


def _lay(
    site: Site,
    land: Relief,
    looks: GroundLook,
    current: Road,
    mouths: list[Mouth],
    rng: np.random.Generator,
    *,
    extend: bool,
) -> None:
    """Lay the ground of one road in pieces that can be culled, and paint it."""
    length = current.line.length
    start = -160.0 if extend else 0.0
    end = length + 160.0 if extend else length
    painter = RoadPainter(current, land, rng)
    for s in np.arange(start, end, 40.0):
        piece = (float(s), float(min(s + 40.0, end)))
        site.ground(ground.carriageway(current, land, looks, piece))
        if not extend and piece[0] < 14:
            continue
        near = [m for m in mouths if piece[0] - 15 < m.station < piece[1] + 15]
        site.ground(ground.sides(current, land, looks, piece, near))
    if not extend:
        first = current.curb(1)
        site.ground(ground.sides(current, land, looks, (first, 40.0), []))
    if current.kind != "pedestrian":
        site.ground(_painted(painter, current, mouths, rng, (start, end)))


def _painted(
    painter: RoadPainter,
    current: Road,
    mouths: list[Mouth],
    rng: np.random.Generator,
    span: tuple[float, float],
) -> Mesh:

    main = span[0] < 0
    cuts = [(m.station, m.half_width + m.radius + 1.0) for m in mouths]
    first = span[0] if main else span[0] + 18.0
    spans = remaining_spans((first, span[1]), cuts)
    parts = [painter.lanes(spans), painter.repairs((max(span[0], 0), span[1]))]
    seen: set[float] = set()
    for mouth in mouths:
        if mouth.station not in seen:
            seen.add(mouth.station)
            parts.append(painter.junction(mouth, crossing=rng.random() < 0.4))
    if main and current.kind != "highway":
        for _ in range(int(rng.integers(0, 5))):
            s = rng.uniform(10, span[1] - 160)
            direction = int(rng.choice([-1, 1]))
            for lane in range(current.lanes):
                parts.append(painter.arrow(s, lane, direction))
        if rng.random() < 0.25:
            parts.append(painter.zebra(rng.uniform(20, 280), 1))
        if not current.median and rng.random() < 0.2:
            parts.append(painter.hatching(rng.uniform(20, 250), rng.uniform(8, 25)))
    return merge(parts)
