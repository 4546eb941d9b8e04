# SPDX-License-Identifier: Apache-2.0
"""Buildings on a lot: the front faces −y, the lot starts at x = 0.

Facades are textured per bay and floor and take relief where silhouettes show it: roofs, cornices,
chimneys, balconies, awnings, shop fronts.
"""

import numpy as np

from training.streets import textures
from training.streets.building_style import BuildingStyle
from training.streets.classes import SemanticClass
from training.streets.mesh import UNIT_SQUARE, Material, Mesh, Surface, grid, merge, quads
from training.streets.shapes import box, tube

_BUILDING = SemanticClass.BUILDING


def building(rng: np.random.Generator, look: BuildingStyle, width: float, depth: float) -> Mesh:
    """Return a building over ``0..width`` × ``0..depth``; the facade is at y = 0."""
    floors = int(rng.integers(look.floors[0], look.floors[1] + 1))
    height = floors * look.floor_height + rng.uniform(0.2, 0.8)
    bays = max(round(width / look.bay_width), 1)
    wall = Surface(_BUILDING, layer=look.wall, color=look.color)
    upper = Surface(_BUILDING, layer=look.facade[0], material=Material.FACADE, color=look.color)
    ground_height = look.floor_height * (1.15 if look.shop else 1.0)
    phase = float(rng.integers(64))
    plinth = rng.uniform(0.02, 0.12) if look.shop else rng.uniform(0.15, 0.5)
    turn = int(rng.integers(3))
    parts = [
        *_bays(look, look.ground, width, (plinth, plinth + ground_height), bays, 1, phase, turn),
        _wall(wall, (0, 0), (width, 0), -0.8, plinth, width / 2.4, plinth / 2.4, 0),
    ]
    top = plinth + ground_height
    if floors > 1:
        high = top + (floors - 1) * look.floor_height
        parts += _bays(look, look.facade, width, (top, high), bays, floors - 1, phase, turn)
        top = high
    height = max(height, top + 0.15)
    parts.append(
        _wall(wall, (0, 0), (width, 0), top, height, width / 2.4, (height - top) / 2.4, 0)
    )
    side_bays = max(round(depth / look.bay_width), 1)
    blind = rng.random() < 0.5
    for start, end in (((0, depth), (0, 0)), ((width, 0), (width, depth))):
        if blind:
            parts.append(_wall(wall, start, end, -0.8, height, depth / 2.4, height / 2.4, 0))
        else:
            parts.append(_wall(wall, start, end, -0.8, plinth, depth / 2.4, 0.4, 0))
            parts.append(_wall(upper, start, end, plinth, height, side_bays, floors, phase + 7))
    parts.append(
        _wall(wall, (width, depth), (0, depth), -0.8, height, width / 2.4, height / 2.4, 0)
    )
    parts += _roof(rng, look, width, depth, height, wall)
    parts += _relief(rng, look, width, height, plinth + ground_height, floors)
    return merge(parts)


def _bays(
    look: BuildingStyle,
    layers: tuple[int, ...],
    width: float,
    levels: tuple[float, float],
    bays: int,
    floors: int,
    phase: float,
    turn: int,
) -> list[Mesh]:
    """Return the front between two heights, one strip of windows per bay or for all at once."""
    strips = [(0, bays)] if len(layers) == 1 else [(k, k + 1) for k in range(bays)]
    parts = []
    for first, last in strips:
        layer = layers[(first + turn) % len(layers)]
        surface = Surface(_BUILDING, layer=layer, material=Material.FACADE, color=look.color)
        start, end = (width * first / bays, 0.0), (width * last / bays, 0.0)
        low, high = levels
        parts.append(_wall(surface, start, end, low, high, last - first, floors, phase + first))
    return parts


def _wall(
    surface: Surface,
    start: tuple[float, float],
    end: tuple[float, float],
    low: float,
    high: float,
    across: float,
    along: float,
    phase: float,
) -> Mesh:
    """Return an upright quad whose texture repeats ``across`` × ``along`` times."""
    corners = np.array([[[*start, low], [*end, low], [*end, high], [*start, high]]])
    return quads(corners, surface, uv=phase + UNIT_SQUARE * np.array([across, along], np.float32))


def _roof(
    rng: np.random.Generator,
    look: BuildingStyle,
    width: float,
    depth: float,
    height: float,
    wall: Surface,
) -> list[Mesh]:
    tiles = Surface(_BUILDING, layer=look.roof_layer)
    parts: list[Mesh] = []
    if look.roof == "flat":
        felt = Surface(_BUILDING, layer=textures.ASPHALT[0], color=(150, 150, 150))
        lid = np.array(
            [[[0, 0, height], [width, 0, height]], [[0, depth, height], [width, depth, height]]]
        )
        parts.append(grid(lid, felt, flat=True))
        if rng.random() < 0.5:
            size = rng.uniform(1.5, 3.5, 2)
            hut = box(
                (*size, rng.uniform(1.2, 2.6)),
                wall,
                center=(width * 0.5, depth * 0.4, height),
                tile=2.4,
            )
            parts.append(hut)
        return parts
    rise, over = rng.uniform(0.3, 0.6), 0.35
    if look.roof == "front":
        peak = height + width / 2 * rise * 1.4
        slopes = [
            [
                [-over, -over, height - 0.2],
                [-over, depth, height - 0.2],
                [width / 2, -over, peak],
                [width / 2, depth, peak],
            ],
            [
                [width + over, -over, height - 0.2],
                [width + over, depth, height - 0.2],
                [width / 2, -over, peak],
                [width / 2, depth, peak],
            ],
        ]
        gables = [
            [[0, y, height], [width, y, height], [width / 2, y, peak], [width / 2, y, peak]]
            for y in (0.0, depth)
        ]
        span, run = np.hypot(width / 2, peak - height), depth
    else:
        peak, inset = height + depth / 2 * rise, (depth / 2 if look.roof == "hip" else -over)
        inset = min(inset, width * 0.45)
        slopes = [
            [
                [-over, y, height - 0.2],
                [width + over, y, height - 0.2],
                [inset, depth / 2, peak],
                [width - inset, depth / 2, peak],
            ]
            for y in (-over, depth + over)
        ]
        gables = [
            [[x, 0, height], [x, depth, height], [x, depth / 2, peak], [x, depth / 2, peak]]
            for x in (0.0, width)
        ]
        if look.roof == "hip":
            slopes += [
                [
                    [x, -over, height - 0.2],
                    [x, depth + over, height - 0.2],
                    [r, depth / 2, peak],
                    [r, depth / 2, peak],
                ]
                for x, r in ((-over, inset), (width + over, width - inset))
            ]
            gables = []
        span, run = np.hypot(depth / 2, peak - height), width
    slope_uv = np.array([[[0, 0], [run / 3, 0]], [[0, span / 3], [run / 3, span / 3]]])
    parts += [
        grid(np.array(s, float).reshape(2, 2, 3), tiles, uv=slope_uv, flat=True) for s in slopes
    ]
    parts += [grid(np.array(g, float).reshape(2, 2, 3), wall, flat=True) for g in gables]
    for _ in range(int(rng.integers(0, 3))):
        x = rng.uniform(0.1, 0.9) * width
        tall = rng.uniform(1.0, 2.0)
        stack = (rng.uniform(0.5, 1.2), rng.uniform(0.4, 0.7), tall)
        parts.append(
            box(stack, wall, center=(x, depth * rng.uniform(0.4, 0.6), peak - 0.9), tile=2.4)
        )
        pot = np.array([[x, depth / 2, peak + tall - 0.9], [x, depth / 2, peak + tall - 0.5]])
        parts.append(tube(pot, 0.12, Surface(_BUILDING, color=(150, 90, 65)), sides=5))
    return parts


def _relief(
    rng: np.random.Generator,
    look: BuildingStyle,
    width: float,
    height: float,
    first_floor: float,
    floors: int,
) -> list[Mesh]:
    """Cornice, awning, balconies, a hanging board, drain pipes."""
    parts: list[Mesh] = []
    light = Surface(_BUILDING, color=(215, 210, 200))
    if rng.random() < 0.6:
        tall = rng.uniform(0.15, 0.5)
        parts.append(box((width, 0.3, tall), light, center=(width / 2, -0.1, height - tall)))
    shop = look.shop
    if shop and rng.random() < 0.35:
        tone = tuple(int(v) for v in rng.integers(20, 240, 3))
        cloth = Surface(
            _BUILDING,
            layer=textures.CLOTH[int(rng.integers(2))],
            color=(tone[0], tone[1], tone[2]),
        )
        reach = rng.uniform(0.8, 1.8)
        rim = np.array([[0.1, 0, first_floor - 0.5], [width - 0.1, 0, first_floor - 0.5]])
        points = np.stack([rim, rim - [0, reach, 0.6]])
        parts.append(grid(points, cloth, flat=True))
    if shop and rng.random() < 0.4:
        poster = Surface(_BUILDING, layer=textures.POSTERS[int(rng.integers(2))])
        x = rng.uniform(0.2, 0.8) * width
        parts.append(box((0.1, 0.8, 0.8), poster, center=(x, -0.55, first_floor + 0.2)))
    if not shop and floors > 2 and rng.random() < 0.3:
        metal = Surface(_BUILDING, color=(95, 98, 100))
        for floor in range(1, floors):
            for x in np.arange(look.bay_width / 2, width, look.bay_width * 2):
                z = first_floor + (floor - 1) * look.floor_height
                parts.append(box((look.bay_width * 0.8, 1.1, 0.15), light, center=(x, -0.55, z)))
                parts.append(
                    box((look.bay_width * 0.8, 0.05, 0.95), metal, center=(x, -1.05, z + 0.1))
                )
    if rng.random() < 0.5:
        pipe = np.array([[0.15, -0.08, 0], [0.15, -0.08, height]])
        parts.append(tube(pipe, 0.05, Surface(_BUILDING, color=(60, 60, 62)), sides=4))
    return parts
