# SPDX-License-Identifier: Apache-2.0
"""What stands behind the pavement: rows of buildings, front gardens, car parks, backdrops."""

from dataclasses import replace

import numpy as np

from training.streets import barriers, building_style, buildings, vegetation
from training.streets.appearance import AppearancePool
from training.streets.ground import Mouth
from training.streets.mesh import FloatArray, Mesh, rgb
from training.streets.roads import Road
from training.streets.shapes import pose
from training.streets.site import Site

_ROWS = {
    "high_street": ("terrace", 0.93, 0.0),
    "boulevard": ("block", 0.85, 2.0),
    "residential": ("house", 0.8, 4.0),
    "suburb": ("house", 0.22, 14.0),
    "highway": ("shed", 0.08, 20.0),
    "retail": ("shed", 0.6, 8.0),
    "lane": ("terrace", 0.95, 0.0),
    "pedestrian": ("terrace", 0.9, 0.0),
}


def front_line(road: Road, side: int) -> float:
    """Return the distance of the building line from the centre line."""
    outer = [band.outer for band in road.side(side) if band.kind != "field"]
    return outer[-1] if outer else road.half_width


def build_rows(
    site: Site,
    road: Road,
    span: tuple[float, float],
    mouths: list[Mouth],
    pool: AppearancePool,
    rng: np.random.Generator,
) -> None:
    """Line both sides of a road with buildings."""
    kind, density, gap = _ROWS[road.kind]
    if road.kind in ("high_street", "lane") and rng.random() < 0.3:
        kind = "block"
    for side in (1, -1):
        front = front_line(road, side) + 0.02
        s, look, left_in_row = span[0], building_style.style(pool.style("building", rng), kind), 0
        row_density = np.clip(density * rng.uniform(0.75, 1.1), 0, 1)
        while s < span[1]:
            if left_in_row == 0:
                look = building_style.style(pool.style("building", rng), kind)
                left_in_row = int(rng.integers(1, 6))
                s += gap * rng.uniform(0, 2)
            left_in_row -= 1
            width = look.bay_width * int(rng.integers(*_bays(kind)))
            depth = rng.uniform(8, 16) if kind != "shed" else rng.uniform(12, 25)
            if rng.random() > row_density:
                s += width
                continue
            setback = (
                rng.uniform(0, 3) if kind in ("house", "shed") else float(rng.random() < 0.15)
            )
            near = front + setback
            blocked = any(
                m.side == side and abs(s + width / 2 - m.station) < width / 2 + m.half_width + 2.5
                for m in mouths
            )
            # Cells are a metre wide: the pavement's last one may reach under the facade.
            reach = (side * (near + 1.2), side * (near + depth))
            cells = site.footprint(road, (s + 0.5, s + width - 0.5), reach)
            if blocked or not site.free(cells):
                s += 2.0
                continue
            site.take(cells)
            shade = np.clip(np.array(look.color) * rng.uniform(0.8, 1.15), 20, 250)
            tinted = replace(look, color=rgb(shade))
            mesh = buildings.building(rng, tinted, width, depth)
            matrix = _lot_pose(site, road, side, s, width, near)
            site.build(mesh, matrix)
            site.shade(matrix @ pose(width / 2, 0, 0) @ np.diag([width + 2.0, 3.4, 1.0, 1.0]))
            s += width + (
                gap * rng.uniform(0.3, 1.5) if left_in_row == 0 or kind == "house" else 0
            )


def _bays(kind: str) -> tuple[int, int]:
    return {"terrace": (2, 5), "block": (4, 12), "house": (2, 5), "shed": (5, 14)}[kind]


def _lot_pose(
    site: Site, road: Road, side: int, s: float, width: float, near: float
) -> FloatArray:
    heading = float(road.line.heading(s + width / 2))
    corner = s if side > 0 else s + width
    x, y, _ = site.world(road, corner, side * near)
    z = site.world(road, s + width / 2, side * near)[2]
    return pose(x, y, z, heading if side > 0 else heading + np.pi)


def fence_lots(
    site: Site,
    road: Road,
    span: tuple[float, float],
    mouths: list[Mouth],
    pool: AppearancePool,
    rng: np.random.Generator,
) -> None:
    """Put walls, fences and hedges between the pavement and gardens, banks or plazas."""
    for side in (1, -1):
        bands = road.side(side)
        sheltered = next(
            (b for b in bands if b.kind in ("garden", "bank", "plaza", "field")), None
        )
        if sheltered is None:
            continue
        share = {"garden": 0.75, "bank": 0.35, "plaza": 0.25, "field": 0.3}[sheltered.kind]
        if sheltered.kind == "bank":
            share *= rng.uniform()
        d = side * (sheltered.inner + 0.25)
        s = span[0]
        while s < span[1] - 3:
            length = min(rng.uniform(5, 26), span[1] - s)
            stations = np.linspace(s, s + length, max(int(length / 2), 1) + 1)
            s += length + (rng.uniform(1.2, 4.0) if rng.random() < 0.6 else 0.0)
            near_mouth = any(
                m.side == side and abs(stations.mean() - m.station) < length / 2 + m.half_width + 4
                for m in mouths
            )
            if rng.random() > share or near_mouth:
                continue
            behind = d + side * 1.2
            if not site.free(site.footprint(road, (stations[0], stations[-1]), (behind, behind))):
                continue
            path = np.stack([site.world(road, float(at), d) for at in stations])
            _line_of(site, path, road.kind == "highway", pool, rng)


def _line_of(
    site: Site, path: FloatArray, highway: bool, pool: AppearancePool, rng: np.random.Generator
) -> None:
    style = pool.style("barrier", rng)
    roll = rng.random()
    if highway:
        makers = (barriers.guard_rail, barriers.concrete_barrier, barriers.fence, barriers.wall)
        site.build(makers[int(rng.choice(4, p=[0.5, 0.2, 0.15, 0.15]))](style, path))
    elif roll < 0.3:
        site.build(barriers.wall(style, path))
    elif roll < 0.65:
        site.build(barriers.fence(style, path))
    else:
        delta = path[-1] - path[0]
        length = float(np.linalg.norm(delta[:2]))
        yaw = float(np.arctan2(delta[1], delta[0]))
        mesh: Mesh = vegetation.hedge(style, length)
        site.build(mesh, pose(float(path[0, 0]), float(path[0, 1]), float(path[0, 2]), yaw))


def median_barrier(
    site: Site,
    road: Road,
    span: tuple[float, float],
    pool: AppearancePool,
    rng: np.random.Generator,
) -> None:
    """Put a barrier, a railing or nothing on the median."""
    roll = rng.random()
    if not road.median or roll > 0.7:
        return
    stations = np.arange(span[0], span[1], 4.0)
    for start in range(0, len(stations) - 1, 8):
        piece = stations[start : start + 9]
        path = np.stack([site.world(road, float(s), 0.0, 0.1) for s in piece])
        if len(piece) < 2:
            continue
        style = pool.style("barrier", np.random.default_rng(int(roll * 1e6)))
        maker = barriers.guard_rail if roll < 0.3 else barriers.concrete_barrier
        if road.kind != "highway":
            maker = barriers.fence if roll < 0.45 else barriers.wall
        site.build(maker(style, path))


def backdrop(
    site: Site,
    road: Road,
    pool: AppearancePool,
    rng: np.random.Generator,
    trees: list[tuple[str, Mesh]],
) -> None:
    """Close the view: tall buildings and trees beyond the first row and at both ends."""
    length = road.line.length
    urban = road.kind in ("high_street", "boulevard", "lane", "retail", "pedestrian")
    for _ in range(int(rng.integers(10, 40) if urban else rng.integers(0, 6))):
        s = rng.uniform(-70, length + 70)
        side = int(rng.choice([-1, 1]))
        d = side * rng.uniform(26, 95)
        at_end = rng.random() < 0.35
        if at_end:
            s = float(rng.choice([-1, 1])) * rng.uniform(25, 80) + (
                length if rng.random() < 0.5 else 0
            )
            if 0 < s < length:
                continue
            d = rng.uniform(-40, 40)
        width, depth = rng.uniform(12, 30), rng.uniform(10, 18)
        cells = site.footprint(road, (s, s + width), (d, d + depth * side))
        if not site.free(cells):
            continue
        site.take(cells)
        look = building_style.style(
            pool.style("building", rng), str(rng.choice(["block", "terrace"]))
        )
        mesh = buildings.building(rng, look, width, depth)
        corner = s if side > 0 else s + width
        x, y, z = site.world(road, corner, d)
        heading = float(road.line.heading(s)) + (0 if side > 0 else np.pi)
        if at_end:
            heading += float(rng.choice([0, np.pi / 2]))
        site.build(mesh, pose(x, y, z, heading))
    count = int(rng.integers(30, 90) if urban else rng.integers(120, 300))
    # In the country lawns and fields may reach far before the first tree stands.
    nearest = {side: 14.0 if urban else rng.uniform(14, 50) for side in (-1, 1)}
    for _ in range(count):
        s = rng.uniform(-110, length + 110)
        side = int(rng.choice([-1, 1]))
        d = side * rng.uniform(nearest[side], 110)
        beyond = s < -20 or s > length + 20
        if beyond and rng.random() < 0.6:
            d = rng.uniform(-50, 50)
        near = front_line(road, 1 if d > 0 else -1) + 2
        xy = road.line.at(s, d)
        if (abs(d) < near and not beyond) or not site.open_land(xy):
            continue
        name, mesh = trees[int(rng.integers(len(trees)))]
        x, y, z = site.world(road, s, d)
        site.place(name, mesh, pose(x, y, z, rng.uniform(0, 6.28), rng.uniform(0.75, 1.7)))
