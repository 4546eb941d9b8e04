# SPDX-License-Identifier: Apache-2.0
"""The ground of a street: carriageway, curbs, pavements, verges, and corners of junctions."""

from dataclasses import dataclass

import numpy as np

from training.streets import textures
from training.streets.classes import SemanticClass
from training.streets.curve import Curve, Relief
from training.streets.mesh import FloatArray, Material, Mesh, Surface, grid, merge
from training.streets.roads import CURB_HEIGHT, Band, Road

STEP = 2.0


@dataclass(frozen=True)
class GroundLook:
    """Textures and colours of a town's ground."""

    road: Surface
    sidewalk: Surface
    plaza: Surface
    curb: Surface
    grass: Surface
    garden: Surface
    field: Surface
    tile: float
    paving_tile: float


@dataclass(frozen=True)
class Mouth:
    """Where a side road opens: station, side (+1 left), half width to its curb, corner radius."""

    station: float
    side: int
    half_width: float
    radius: float


def look(rng: np.random.Generator, *, urban: bool) -> GroundLook:
    """Return the surfaces of a town; most yards are paved in an urban one, some elsewhere."""
    terrain, walk = SemanticClass.TERRAIN, SemanticClass.SIDEWALK
    ground = Material.GROUND
    shade = int(rng.integers(150, 256))
    layer = int(rng.choice(textures.ASPHALT))
    if rng.random() < 0.06:
        layer = int(rng.choice(textures.PAVING))
    stone = int(rng.integers(140, 235))
    dirt = rng.random() < 0.12
    soil = int(rng.choice(textures.DIRT))
    lawn = int(rng.choice(textures.GRASS))
    tone = int(rng.integers(150, 245))
    plaza = Surface(walk, int(rng.choice(textures.PAVING + textures.ASPHALT)), ground)
    field = Surface(terrain, int(rng.choice(textures.GRASS + textures.DIRT)), ground)
    if rng.random() < (0.75 if urban else 0.2):
        field = plaza
    return GroundLook(
        road=Surface(SemanticClass.ROAD, layer, ground, color=(shade, shade, shade)),
        sidewalk=Surface(walk, int(rng.choice(textures.PAVING)), ground),
        plaza=plaza,
        curb=Surface(walk, textures.PAINT_WORN, ground, color=(stone, stone, stone - 6)),
        grass=Surface(terrain, soil if dirt else lawn, ground, color=(tone, tone, tone)),
        garden=Surface(terrain, int(rng.choice(textures.GRASS)), ground),
        field=field,
        tile=rng.uniform(2.5, 6.0),
        paving_tile=rng.uniform(1.2, 2.8),
    )


def strip(
    line: Curve,
    relief: Relief,
    span: tuple[float, float],
    edges: tuple[float, float],
    heights: tuple[float, float],
    surface: Surface,
    tile: float,
    *,
    columns: int = 2,
) -> Mesh:
    """Return a band of ground.

    Args:
        line: The road's centre line.
        relief: Height of the land.
        span: First and last s, metres.
        edges: d of both edges.
        heights: Height of both edges over the land.
        surface: What covers it.
        tile: Metres per repeat of the texture.
        columns: Points across.
    """
    count = max(int((span[1] - span[0]) / STEP), 1) + 1
    s = np.linspace(span[0], span[1], count)
    rows = []
    for share in np.linspace(0, 1, columns):
        d = edges[0] + share * (edges[1] - edges[0])
        xy = line.at(s, d)
        z = relief.height(xy) + heights[0] + share * (heights[1] - heights[0])
        rows.append(np.concatenate([xy, z[:, None]], -1))
    points = np.stack(rows)
    return grid(points, surface, uv=points[..., :2] / tile)


def carriageway(road: Road, relief: Relief, looks: GroundLook, span: tuple[float, float]) -> Mesh:
    """Return the surface between the curbs, and the median."""
    edges = (-road.curb(-1), road.curb(1))
    surface, tile = looks.road, looks.tile
    if road.kind == "pedestrian":
        surface, tile = looks.sidewalk, looks.paving_tile
    parts = [strip(road.line, relief, span, edges, (0, 0), surface, tile, columns=5)]
    if road.median:
        half = road.median / 2
        top = looks.grass if half > 0.9 else looks.curb
        parts.append(strip(road.line, relief, span, (-half, half), (0.14, 0.14), top, looks.tile))
        for side in (-1, 1):
            parts.append(_curb_face(road.line, relief, span, side * half, 0.14, looks))
    return merge(parts)


def _curb_face(
    line: Curve,
    relief: Relief,
    span: tuple[float, float],
    d: float,
    height: float,
    looks: GroundLook,
) -> Mesh:
    return strip(line, relief, span, (d, d + 1e-3), (-0.02, height), looks.curb, 1.5)


def sides(
    road: Road,
    relief: Relief,
    looks: GroundLook,
    span: tuple[float, float],
    mouths: list[Mouth],
) -> Mesh:
    """Return curbs and bands of both sides, open where side roads join."""
    parts: list[Mesh] = []
    for side in (1, -1):
        own = [mouth for mouth in mouths if mouth.side == side]
        curb = road.curb(side)
        round_cuts = [(m.station, m.half_width + m.radius) for m in own]
        straight_cuts = [(m.station, m.half_width) for m in own]
        for band in road.side(side):
            if band.kind == "parking":
                continue
            surface, tile = _cover(road, band, looks)
            first = abs(band.inner - curb) < 1e-6
            cuts = round_cuts if first else straight_cuts
            for part in remaining_spans(span, cuts):
                # A pavement wins over the garden of the crossing road that it overlaps.
                sink = 0.0 if band.kind == "sidewalk" else -0.006
                heights = (band.low + sink, band.high + sink)
                edges = (side * band.inner, side * band.outer)
                columns = 4 if band.outer - band.inner > 10 else 2
                parts.append(
                    strip(road.line, relief, part, edges, heights, surface, tile, columns=columns)
                )
                if first and band.low > 0.05:
                    parts.append(_curb_face(road.line, relief, part, side * curb, band.low, looks))
                    rim = (side * curb, side * (curb + 0.16))
                    top = (band.low + 0.004, band.low + 0.004)
                    parts.append(strip(road.line, relief, part, rim, top, looks.curb, 1.5))
        for mouth in own:
            parts += _corners(road, relief, looks, mouth)
    return merge(parts)


def _cover(road: Road, band: Band, looks: GroundLook) -> tuple[Surface, float]:
    if road.kind == "retail" and band.kind == "plaza":
        return looks.road, looks.tile  # a car park
    surfaces = {
        "sidewalk": (looks.sidewalk, looks.paving_tile),
        "plaza": (looks.plaza, looks.paving_tile),
        "verge": (looks.grass, looks.tile),
        "garden": (looks.garden, looks.tile),
        "bank": (looks.grass, looks.tile * 1.3),
        "field": (looks.field, looks.tile * 1.7),
    }
    return surfaces[band.kind]


def remaining_spans(
    span: tuple[float, float], cuts: list[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Return what is left of a span without the cuts (middle, half width)."""
    left, spans = span[0], []
    for middle, half in sorted(cuts):
        if middle - half > left + 0.1:
            spans.append((left, min(middle - half, span[1])))
        left = max(left, middle + half)
    if left < span[1] - 0.1:
        spans.append((left, span[1]))
    return spans


def _corners(road: Road, relief: Relief, looks: GroundLook, mouth: Mouth) -> list[Mesh]:
    """Return both rounded pavement corners of a mouth."""
    parts = []
    curb, radius = road.curb(mouth.side), mouth.radius
    angle = np.linspace(0, np.pi / 2, 7)
    for turn in (-1, 1):
        # The curb turns around the middle of a circle that lies on the pavement.
        s = mouth.station + turn * (mouth.half_width + radius - radius * np.sin(angle))
        d = mouth.side * (curb + radius - radius * np.cos(angle))
        far_s = np.full_like(s, mouth.station + turn * (mouth.half_width + radius))
        far_d = np.full_like(d, mouth.side * (curb + radius))
        rows = []
        for along, across, height in (
            (s, d, -0.02),
            (s, d, CURB_HEIGHT),
            (far_s, far_d, CURB_HEIGHT),
        ):
            xy = road.line.at(along, across)
            z = relief.height(xy) + height
            rows.append(np.concatenate([xy, z[:, None]], -1))
        face = np.stack(rows[:2])
        top = np.stack(rows[1:])
        parts.append(grid(face, looks.curb, uv=face[..., :2] / 1.5, flat=True))
        uv = top[..., :2] / looks.paving_tile
        parts.append(grid(top, looks.sidewalk, uv=uv, flat=True))
    return parts


def countryside(relief: Relief, looks: GroundLook, center: FloatArray) -> Mesh:
    """Return the land below and around everything, out to 1.2 km."""
    inner = np.linspace(-240, 240, 33)
    axis = np.concatenate([[-1200, -600, -360], inner, [360, 600, 1200]])
    x, y = np.meshgrid(axis + center[0], axis + center[1])
    z = relief.height(np.stack([x, y], -1)) - 0.35
    points = np.stack([x, y, z], -1)
    return grid(points, looks.field, uv=points[..., :2] / (looks.tile * 2))
