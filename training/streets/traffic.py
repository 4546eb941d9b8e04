# SPDX-License-Identifier: Apache-2.0
"""Fills a road: moving and parked vehicles, walkers, riders, people who wait."""

import numpy as np

from training.streets.actors import Actor
from training.streets.casting import Casting
from training.streets.ground import Mouth
from training.streets.roads import Road, RoadKind
from training.streets.site import Site

# People per metre and side of a road of average bustle.
_WALKERS: dict[RoadKind, float] = {
    "high_street": 0.3,
    "boulevard": 0.27,
    "lane": 0.2,
    "retail": 0.12,
    "residential": 0.09,
    "suburb": 0.04,
    "pedestrian": 0.6,
}


def populate(
    site: Site,
    road: Road,
    span: tuple[float, float],
    mouths: list[Mouth],
    casting: Casting,
    rng: np.random.Generator,
    *,
    bustle: float,
) -> list[Actor]:
    """Return the traffic of one road; ``bustle`` is 0 (empty) to 1 (rush hour)."""
    actors = [] if road.kind == "pedestrian" else _moving(road, span, casting, rng, bustle)
    actors += _parked(site, road, span, mouths, casting, rng)
    if road.kind != "highway":
        actors += _walkers(site, road, span, casting, rng, bustle)
    return actors


def _moving(
    road: Road,
    span: tuple[float, float],
    casting: Casting,
    rng: np.random.Generator,
    bustle: float,
) -> list[Actor]:
    actors: list[Actor] = []
    kinds = ["car", "truck", "bus", "motorcycle", "bicycle"]
    shares = np.array([0.64, 0.07, 0.05, 0.08, 0.16])
    if road.kind == "highway":
        shares = np.array([0.82, 0.14, 0.02, 0.02, 0.0])
    jam = rng.random() < 0.25
    for direction in (1, -1):
        for lane in range(road.lanes):
            d = road.lane_offset(lane, direction)
            limit = 28.0 if road.kind == "highway" else 12.0
            cruise = 0.0 if jam and rng.random() < 0.6 else rng.uniform(0.4, 1.0) * limit
            s = span[0] + rng.uniform(0, 30)
            while s < span[1]:
                kind = str(rng.choice(kinds, p=shares / shares.sum()))
                found = casting.vehicle(kind)
                if found is None:
                    break
                part, design = found
                s += design.length / 2
                lateral = d + rng.normal(0, 0.15)
                speed = direction * cruise
                parts = [part]
                if kind in ("bicycle", "motorcycle"):
                    rider = casting.posed("cycle" if kind == "bicycle" else "motor")
                    if rider is not None:
                        parts.append(rider)
                    outward = 1 if d > 0 else -1
                    if kind == "bicycle":
                        lateral = outward * (road.half_width - rng.uniform(0.5, 1.1))
                        speed = direction * min(abs(speed), rng.uniform(2.5, 6.0))
                actors.append(
                    Actor(tuple(parts), road, s, lateral, speed, 0.0 if direction > 0 else np.pi,
                          reach=max(design.length / 2, 1.2), footprint=design.footprint)
                )  # fmt: skip
                mean_gap = 4.0 if jam else 6.0 + 70.0 * (1 - bustle) ** 1.5
                s += design.length / 2 + 2.0 + rng.exponential(mean_gap)
    if (road.median > 2.2 and rng.random() < 0.3) or rng.random() < 0.08:
        found = casting.vehicle("train")
        if found is not None:
            part, design = found
            d = 0.0 if road.median > 2.2 else road.lane_offset(0, 1)
            s = rng.uniform(*span)
            clear = [
                a for a in actors if abs(a.d - d) > 2.6 or abs(a.s - s) > design.length / 2 + 4
            ]
            actors = [*clear, Actor((part,), road, s, d, 7.0, 0.0, reach=design.length / 2,
                                     footprint=design.footprint)]  # fmt: skip
    return actors


def _parked(
    site: Site,
    road: Road,
    span: tuple[float, float],
    mouths: list[Mouth],
    casting: Casting,
    rng: np.random.Generator,
) -> list[Actor]:
    actors: list[Actor] = []
    for side in (1, -1):
        travel = 1 if (side > 0) == road.left_hand else -1
        rows: list[tuple[float, bool]] = []
        band = road.band(side, "parking")
        if band is not None:
            rows.append((side * band.middle, band.outer - band.inner > 3))
        elif road.kind in ("residential", "lane") and rng.random() < 0.4:
            rows.append((side * (road.half_width - 0.2), False))
        lot = road.band(side, "plaza")
        if lot is not None and lot.outer - lot.inner > 10:
            for d in np.arange(lot.inner + 4, lot.outer - 3, rng.uniform(6, 9)):
                rows.append((side * float(d), True))
        elif road.kind == "residential" and road.band(side, "garden") is not None:
            actors += _driveways(site, road, span, side, casting, rng)
        for d, crosswise in rows:
            share, s = rng.uniform(0.2, 0.98), span[0]
            while s < span[1]:
                pitch = 2.6 if crosswise else 5.9
                s += pitch
                blocked = any(
                    m.side == side and abs(s - m.station) < m.half_width + 7 for m in mouths
                )
                if blocked or rng.random() > share:
                    continue
                kind = "car" if rng.random() < 0.95 else str(rng.choice(["truck", "motorcycle"]))
                found = casting.vehicle(kind, limit=5.3 if crosswise else 7.0)
                if found is None:
                    continue
                part, design = found
                turn = (0.0 if travel > 0 else np.pi) + rng.normal(0, 0.02)
                if rng.random() < 0.12:
                    turn += np.pi
                if crosswise:
                    turn += np.pi / 2
                place = s + rng.normal(0, 0.25)
                actors.append(
                    Actor((part,), road, place, d + rng.normal(0, 0.1), 0.0, turn,
                          reach=design.length / 2, footprint=design.footprint)
                )  # fmt: skip
        if (
            road.kind in ("high_street", "boulevard", "lane", "retail", "pedestrian")
            and rng.random() < 0.75
        ):
            actors += _bicycle_rack(road, span, side, casting, rng)
    return actors


def _driveways(
    site: Site,
    road: Road,
    span: tuple[float, float],
    side: int,
    casting: Casting,
    rng: np.random.Generator,
) -> list[Actor]:
    band = road.band(side, "garden")
    assert band is not None
    actors = []
    for s in np.arange(span[0] + rng.uniform(0, 15), span[1], rng.uniform(12, 25)):
        if band.outer - band.inner < 5.5 or rng.random() < 0.5:
            continue
        found = casting.vehicle("car", limit=band.outer - band.inner)
        if found is None:
            break
        turn = np.pi / 2 * float(rng.choice([-1, 1]))
        part, design = found
        actors.append(
            Actor((part,), road, float(s), side * band.middle, 0.0, turn, reach=2.4,
                  footprint=design.footprint)
        )  # fmt: skip
    return actors


def _bicycle_rack(
    road: Road, span: tuple[float, float], side: int, casting: Casting, rng: np.random.Generator
) -> list[Actor]:
    walk = road.band(side, "sidewalk")
    if walk is None:
        return []
    actors, start = [], rng.uniform(*span)
    d = side * (walk.inner + 0.6) if rng.random() < 0.5 else side * (walk.outer - 0.5)
    for s in start + np.arange(int(rng.integers(1, 9))) * rng.uniform(0.5, 1.1):
        kind = "bicycle" if rng.random() < 0.85 else "motorcycle"
        found = casting.vehicle(kind)
        if found is None:
            break
        turn = rng.uniform(0.6, 1.6) + np.pi * float(rng.random() < 0.5)
        actors.append(Actor((found[0],), road, float(s), d, 0.0, turn, reach=0.7))
    return actors


def _walkers(
    site: Site,
    road: Road,
    span: tuple[float, float],
    casting: Casting,
    rng: np.random.Generator,
    bustle: float,
) -> list[Actor]:
    actors: list[Actor] = []
    rate = _WALKERS.get(road.kind, 0.0)
    for side in (1, -1):
        strips = [b for b in road.side(side) if b.kind in ("sidewalk", "plaza")]
        if not strips:
            continue
        count = rng.poisson(rate * (0.3 + 2.2 * bustle**2) * (span[1] - span[0]))
        place = rng.uniform(*span)
        for _ in range(count):
            # People come in groups: the next one often is a step from the last.
            place = rng.uniform(*span) if rng.random() < 0.6 else place + rng.normal(0, 1.2)
            band = strips[0] if rng.random() < 0.85 else strips[int(rng.integers(len(strips)))]
            reach = min(band.outer - 0.35, band.inner + 8)
            d = side * rng.uniform(band.inner + 0.3, max(reach, band.inner + 0.4))
            actor = _person(road, place, d, casting, rng)
            if actor is not None and site.unbuilt(road.line.at(actor.s, actor.d)):
                actors.append(actor)
    for _ in range(
        rng.poisson((0.7 if road.kind == "pedestrian" else 0.05) * bustle * (span[1] - span[0]))
    ):
        found = casting.walker()
        if found is None:
            break
        part, gait = found
        sense = float(rng.choice([-1, 1]))
        speed = rng.uniform(0.9, 1.6)
        d = rng.uniform(-road.curb(-1), road.curb(1))
        turn = sense * np.pi / 2
        actors.append(
            Actor((part,), road, rng.uniform(*span), d, 0.0, turn, sense * speed, gait=gait,
                  stride_phase=rng.random())
        )  # fmt: skip
    return actors


def _person(
    road: Road, s: float, d: float, casting: Casting, rng: np.random.Generator
) -> Actor | None:
    if rng.random() < 0.7:
        found = casting.walker()
        if found is None:
            return None
        part, gait = found
        sense = float(rng.choice([-1, 1]))
        turn = (0.0 if sense > 0 else np.pi) + rng.normal(0, 0.12)
        speed = sense * rng.uniform(0.7, 1.7)
        return Actor((part,), road, s, d, speed, turn, gait=gait, stride_phase=rng.random())
    posed = casting.posed("stand")
    if posed is None:
        return None
    return Actor((posed,), road, s, d, 0.0, rng.uniform(0, 2 * np.pi))
