# SPDX-License-Identifier: Apache-2.0
"""Trucks, buses and trams.

x forward, origin on the ground; slot 0 paint, slot 1 the load's or the stripe's colour.
"""

import numpy as np

from training.streets import textures
from training.streets.cars import VehicleDesign
from training.streets.classes import SemanticClass
from training.streets.mesh import Material, Mesh, Surface, grid, merge
from training.streets.shapes import box, card, tube, wheel


def _wheels(
    semantic: SemanticClass, places: list[float], width: float, radius: float
) -> list[Mesh]:
    tyre = Surface(semantic, color=(28, 28, 29))
    rim = Surface(semantic, layer=textures.SPOKES, color=(140, 140, 140))
    return [
        wheel((x, side * (width / 2 - 0.17), radius), radius, 0.3, tyre, rim)
        for x in places
        for side in (-1, 1)
    ]


def _prism(
    outline: list[tuple[float, float]], width: float, surface: Surface, *, crown: float = 0.0
) -> Mesh:
    """Return a solid with the side view ``outline`` of (x, z), closed at both sides."""
    points = np.array([*outline, outline[0]], float)
    ys = np.array([-width / 2, -width / 2 + crown, width / 2 - crown, width / 2])
    shrink = np.array([0.96, 1.0, 1.0, 0.96]) if crown else np.ones(4)
    middle = points.mean(0)
    ring = np.zeros((len(points), 4, 3))
    for column, (y, scale) in enumerate(zip(ys, shrink, strict=True)):
        ring[:, column, 0] = middle[0] + (points[:, 0] - middle[0]) * scale
        ring[:, column, 1] = y
        ring[:, column, 2] = middle[1] + (points[:, 1] - middle[1]) * scale
    parts = [grid(ring, surface, flat=True)]
    for column in (0, 3):
        side = ring[:, column]
        center = np.broadcast_to(side.mean(0), side.shape)
        parts.append(grid(np.stack([side, center]), surface, flat=True))
    return merge(parts)


def _lamps(semantic: SemanticClass, front: float, rear: float, width: float) -> list[Mesh]:
    white = Surface(semantic, material=Material.GLASS, color=(225, 225, 215))
    red = Surface(semantic, material=Material.GLASS, color=(190, 18, 20))
    parts = []
    for side in (-1, 1):
        y = side * width * 0.38
        parts.append(box((0.06, 0.32, 0.18), white, center=(front, y, 0.7)))
        parts.append(box((0.06, 0.2, 0.28), red, center=(rear, y, 0.75)))
    return parts


def truck(rng: np.random.Generator) -> VehicleDesign:
    """Return a rigid truck: cab and a box, a tarpaulin, a tank or an open bed."""
    semantic = SemanticClass.TRUCK
    length, width = rng.uniform(5.8, 11.5), rng.uniform(2.2, 2.55)
    height, cab = rng.uniform(2.7, 3.9), rng.uniform(1.6, 2.3)
    paint = Surface(semantic, material=Material.PAINT, slot=0)
    load = Surface(semantic, layer=textures.CLOTH[int(rng.integers(2))], slot=1)
    glass = Surface(semantic, material=Material.GLASS, color=(50, 54, 58))
    dark = Surface(semantic, color=(40, 40, 42))
    front, rear = length / 2, -length / 2
    cab_height = min(height, rng.uniform(2.3, 3.0))
    nose = front - rng.uniform(0.1, 0.45)
    back = front - cab
    outline = [
        (back, 0.5),
        (front, 0.5),
        (front, cab_height * 0.52),
        (nose, cab_height),
        (back, cab_height),
    ]
    parts = [_prism(outline, width * 0.95, paint, crown=0.08)]
    slope = (nose - front) / (cab_height * 0.48)
    pane_low, pane_high = cab_height * 0.56, cab_height * 0.9
    low_x = front + slope * (pane_low - cab_height * 0.52) + 0.02
    high_x = front + slope * (pane_high - cab_height * 0.52) + 0.02
    half = width * 0.42
    pane = np.array([[[low_x, -half, pane_low], [low_x, half, pane_low]],
                     [[high_x, -half, pane_high], [high_x, half, pane_high]]])  # fmt: skip
    parts.append(grid(pane, glass, flat=True))
    for side in (-1, 1):
        corner = (back + cab * 0.3, side * (width * 0.475 + 0.01), pane_low)
        parts.append(card(corner, (cab * 0.5, 0, 0), (0, 0, pane_high - pane_low), glass))
        parts.append(
            box((0.1, 0.22, 0.4), dark, center=(nose, side * (width * 0.5 + 0.15), pane_low))
        )
    bed_length = length - cab - 0.15
    bed_x = rear + bed_length / 2
    parts.append(box((length * 0.96, width * 0.5, 0.25), dark, center=(0, 0, 0.55)))
    kind = rng.random()
    if kind < 0.6:
        size = (bed_length, width, height - 0.95)
        parts.append(box(size, load, center=(bed_x, 0, 0.95), tile=bed_length))
        if rng.random() < 0.5:
            poster = Surface(semantic, layer=textures.POSTERS[int(rng.integers(2))])
            for side in (-1, 1):
                corner = (bed_x - bed_length * 0.35, side * (width / 2 + 0.01), 1.2)
                parts.append(
                    card(corner, (bed_length * 0.7, 0, 0), (0, 0, (height - 1.4)), poster)
                )
    elif kind < 0.75:
        path = np.array(
            [
                [rear, 0, 1.85],
                [rear + 0.15, 0, 1.85],
                [back - 0.3, 0, 1.85],
                [back - 0.15, 0, 1.85],
            ]
        )
        parts.append(tube(path, np.array([0.7, 0.95, 0.95, 0.7]), load, sides=12, squash=1.1))
    else:
        wall_height = rng.uniform(0.4, 1.1)
        parts.append(box((bed_length, width, 0.15), dark, center=(bed_x, 0, 0.9)))
        for side in (-1, 1):
            center = (bed_x, side * (width / 2 - 0.04), 0.95)
            parts.append(box((bed_length, 0.06, wall_height), load, center=center))
        parts.append(box((0.06, width, wall_height), load, center=(rear + 0.03, 0, 0.95)))
        cargo = Surface(semantic, layer=textures.DIRT[0])
        parts.append(
            box((bed_length * 0.8, width * 0.8, wall_height * 0.9), cargo, center=(bed_x, 0, 1.0))
        )
    axles = [front - cab * 0.45, rear + bed_length * 0.25]
    if length > 8:
        axles.append(rear + bed_length * 0.25 + 1.2)
    parts += _wheels(semantic, axles, width, 0.48)
    parts += _lamps(semantic, front, rear, width)
    parts.append(box((0.1, width * 0.95, 0.35), dark, center=(front, 0, 0.35)))
    return VehicleDesign(merge(parts), length, width, height, semantic)


def _saloon(
    rng: np.random.Generator,
    semantic: SemanticClass,
    length: float,
    width: float,
    height: float,
    floor: float,
    decks: int,
) -> list[Mesh]:
    """Return a long body with window bands, doors and end panes."""
    paint = Surface(semantic, material=Material.PAINT, slot=0)
    second = Surface(semantic, material=Material.PAINT, slot=1)
    glass = Surface(semantic, material=Material.GLASS, color=(46, 50, 54))
    half, round_off = length / 2, rng.uniform(0.05, 0.5)
    chin = floor + 0.45 * (height - floor)
    front = [(half, floor), (half, chin), (half - round_off, height)]
    outline = [(-half, floor), *front, (-half + 0.12, height), (-half, height - 0.15)]
    parts = [_prism(outline, width, paint, crown=0.12)]
    deck_height = (height - floor) / decks
    for deck in range(decks):
        low = floor + deck * deck_height + deck_height * rng.uniform(0.36, 0.46)
        tall = deck_height * rng.uniform(0.36, 0.44)
        count = max(int(length / rng.uniform(1.3, 2.1)), 2)
        pitch = (length - 0.9) / count
        for side in (-1, 1):
            y = side * (width / 2 + 0.012)
            for k in range(count):
                corner = (-half + 0.45 + k * pitch, y, low)
                parts.append(card(corner, (pitch * 0.9, 0, 0), (0, 0, tall), glass))
        for x, inset in ((half + 0.012, 1), (-half - 0.012, -1)):
            reach = width * 0.84
            lean = -round_off * 0.3 * (inset > 0)
            corner = (x, reach / 2, low)
            parts.append(card(corner, (0, -reach, 0), (lean, 0, tall), glass))
    if rng.random() < 0.6:
        stripe = rng.uniform(0.1, 0.5)
        for side in (-1, 1):
            y = side * (width / 2 + 0.006)
            parts.append(
                card((-half + 0.1, y, floor + 0.1), (length - 0.2, 0, 0), (0, 0, stripe), second)
            )
    if rng.random() < 0.5:
        poster = Surface(semantic, layer=textures.POSTERS[int(rng.integers(2))])
        for side in (-1, 1):
            corner = (
                -half + length * rng.uniform(0.1, 0.4),
                side * (width / 2 + 0.014),
                floor + 0.15,
            )
            parts.append(card(corner, (length * 0.35, 0, 0), (0, 0, deck_height * 0.24), poster))
    door = Surface(semantic, material=Material.GLASS, color=(60, 64, 66))
    for x in (half - 1.6, half - length * 0.5):
        parts.append(card((x, -width / 2 - 0.02, floor + 0.05), (1.1, 0, 0), (0, 0, 2.0), door))
    sign = Surface(semantic, color=(30, 26, 12))
    parts.append(
        card(
            (half - round_off * 0.8 + 0.05, width * 0.3, height - 0.42),
            (0, -width * 0.6, 0),
            (0, 0, 0.28),
            sign,
        )
    )
    return parts


def bus(rng: np.random.Generator) -> VehicleDesign:
    """Return a bus, sometimes with two decks."""
    semantic = SemanticClass.BUS
    decks = 2 if rng.random() < 0.25 else 1
    length, width = rng.uniform(8.5, 13.0), rng.uniform(2.4, 2.6)
    height = rng.uniform(4.1, 4.4) if decks == 2 else rng.uniform(2.8, 3.3)
    parts = _saloon(rng, semantic, length, width, height, 0.32, decks)
    parts += _wheels(semantic, [length / 2 - 2.3, -length / 2 + 2.6], width, 0.46)
    parts += _lamps(semantic, length / 2, -length / 2, width)
    return VehicleDesign(merge(parts), length, width, height, semantic)


def train(rng: np.random.Generator) -> VehicleDesign:
    """Return a tram or a railcar of two to four joined saloons."""
    semantic = SemanticClass.TRAIN
    width, height = rng.uniform(2.3, 2.7), rng.uniform(3.2, 3.8)
    count, saloon = int(rng.integers(2, 5)), rng.uniform(7.5, 11.0)
    dark = Surface(semantic, color=(35, 35, 37))
    style = int(rng.integers(1 << 30))
    parts, length = [], count * (saloon + 0.6) - 0.6
    for k in range(count):
        x = -length / 2 + saloon / 2 + k * (saloon + 0.6)
        same = np.random.default_rng(style)
        shift = np.eye(4)
        shift[0, 3] = x
        body = merge(_saloon(same, semantic, saloon, width, height, 0.3, 1))
        parts.append(body.transformed(shift))
        parts.append(box((saloon * 0.7, width * 0.8, 0.3), dark, center=(x, 0, 0.05)))
        parts.append(box((1.6, 1.2, 0.3), dark, center=(x, 0, height)))
        if k:
            bellows = (x - saloon / 2 - 0.3, 0, 0.4)
            parts.append(box((0.8, width * 0.85, height - 0.6), dark, center=bellows))
    path = np.array([[0, 0, height + 0.2], [0.7, 0, height + 0.9], [0, 0, height + 1.5]])
    parts.append(tube(path, 0.05, dark, sides=4))
    parts += _lamps(semantic, length / 2, -length / 2, width)
    return VehicleDesign(merge(parts), length, width, height, semantic)
