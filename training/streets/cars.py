# SPDX-License-Identifier: Apache-2.0
"""Cars: one lofted body per design, from city car to pickup and van.

x forward, origin on the ground; slot 0 is the paint.
"""

from dataclasses import dataclass

import numpy as np

from training.streets import textures
from training.streets.car_profiles import PROFILES, SIZES
from training.streets.classes import SemanticClass
from training.streets.mesh import Color, FloatArray, Material, Mesh, Surface, grid, merge, rgb
from training.streets.shapes import box, card, ellipsoid, wheel

_KINDS = ("hatchback", "sedan", "estate", "suv", "van", "minibus", "pickup", "sports")
_SHARES = (0.29, 0.25, 0.13, 0.16, 0.08, 0.03, 0.04, 0.02)


@dataclass(frozen=True)
class VehicleDesign:
    """A vehicle's mesh and its size over ground, metres."""

    mesh: Mesh
    length: float
    width: float
    height: float
    semantic: SemanticClass

    @property
    def footprint(self) -> tuple[float, float]:
        """Length and width of the ground it keeps dark, metres."""
        return self.length * 1.12, self.width * 1.3


def _section(x: float, width: float, bottom: float, shoulder: float, roof: float) -> FloatArray:
    """Return one cross-section ``(13, 3)`` from the left sill over the roof to the right sill."""
    half = width / 2
    tumble = np.clip((roof - shoulder) * 0.32, 0, 0.2)
    rail = half * 0.97 - tumble
    left = [
        (half * 0.9, bottom),
        (half, bottom + 0.1),
        (half, bottom + (shoulder - bottom) * 0.6),
        (half * 0.965, shoulder),
        (rail, max(roof - 0.05, shoulder)),
        (rail * 0.75, roof),
    ]
    ring = [*left, (0.0, roof + 0.02), *((-y, z) for y, z in reversed(left))]
    return np.array([(x, y, z) for y, z in ring])


def _narrowing(place: float) -> float:
    """Return the share of the full width at a place along the body: rounded corners."""
    return float(1.0 - 0.5 * max(0.0, 0.06 - place) ** 0.9 - 0.9 * max(0.0, place - 0.9) ** 1.2)


def car(rng: np.random.Generator) -> VehicleDesign:
    """Return a car design."""
    kind = str(rng.choice(_KINDS, p=_SHARES))
    length, width, height = (rng.uniform(*limits) for limits in SIZES[kind])
    semantic = SemanticClass.CAR
    paint = Surface(semantic, material=Material.PAINT, slot=0)
    glass = Surface(semantic, material=Material.GLASS, color=(30, 32, 34))
    trim = Surface(semantic, color=(38, 38, 40))
    rows = list(PROFILES[kind])
    jitter = rng.uniform(-0.018, 0.018, len(rows))
    jitter[[0, -1]] = 0
    bottom = rng.uniform(0.17, 0.26) + (0.1 if kind in ("suv", "pickup") else 0)
    places = [row[0] + shift for row, shift in zip(rows, jitter, strict=True)]
    sections = np.stack(
        [
            _section(
                (place - 0.5) * length,
                width * _narrowing(place),
                bottom,
                shoulder * height,
                roof * height,
            )
            for place, (_, shoulder, roof, _) in zip(places, rows, strict=True)
        ]
    )
    windowless = kind == "van" and rng.random() < 0.9
    panes = _panes(rows, skip_rear=windowless or kind == "pickup")
    body = grid(sections, paint, flat=False, skip=panes)
    every = [(r, c) for r in range(len(rows) - 1) for c in range(12)]
    windows = grid(sections, glass, flat=True, skip=[quad for quad in every if quad not in panes])
    parts = [body, windows, *_ends(sections, paint)]
    parts += _running_gear(rng, length, width, height, bottom, semantic)
    parts += _details(rng, kind, length, width, height, bottom, semantic, trim)
    return VehicleDesign(merge(parts), length, width, height, semantic)


def _panes(
    rows: list[tuple[float, float, float, str]], *, skip_rear: bool
) -> list[tuple[int, int]]:
    panes = []
    for index, (place, _, _, glass) in enumerate(rows[:-1]):
        if not glass or (skip_rear and place < 0.3):
            continue
        columns = [3, 8] if glass == "side" else [4, 5, 6, 7]
        panes += [(index, column) for column in columns]
    return panes


def _ends(sections: FloatArray, surface: Surface) -> list[Mesh]:
    """Close the rear and the front."""
    caps = []
    for ring in (sections[0], sections[-1]):
        middle = ring.copy()
        middle[:, 1] *= 0.0
        middle[:, 2] = np.linspace(ring[0, 2], ring[0, 2], len(ring))
        caps.append(grid(np.stack([ring, middle]), surface, flat=True))
    return caps


def _running_gear(
    rng: np.random.Generator,
    length: float,
    width: float,
    height: float,
    bottom: float,
    semantic: SemanticClass,
) -> list[Mesh]:
    radius = rng.uniform(0.29, 0.34) + 0.06 * (height > 1.6)
    tyre = Surface(semantic, color=(30, 30, 31))
    shade = int(rng.integers(90, 200))
    rim = Surface(semantic, layer=textures.SPOKES, color=(shade, shade, shade))
    arch = Surface(semantic, color=(14, 14, 15))
    front, rear = length * rng.uniform(0.29, 0.33), -length * rng.uniform(0.27, 0.32)
    parts = [
        box((length * 0.86, width * 0.8, 0.12), arch, center=(0, 0, bottom - 0.08)),
    ]
    angle = np.linspace(0, np.pi, 9)
    for x in (front, rear):
        for side in (-1, 1):
            y = side * (width / 2 - 0.1)
            parts.append(wheel((x, y, radius), radius, 0.2, tyre, rim))
            edge = np.stack(
                [
                    x + np.cos(angle) * radius * 1.16,
                    np.full(9, side * (width / 2 + 0.004)),
                    np.maximum(radius + np.sin(angle) * radius * 1.16, bottom),
                ],
                -1,
            )
            hub = edge.copy()
            hub[:, 0], hub[:, 2] = x, bottom
            parts.append(grid(np.stack([hub, edge]), arch, flat=True))
    return parts


def _details(
    rng: np.random.Generator,
    kind: str,
    length: float,
    width: float,
    height: float,
    bottom: float,
    semantic: SemanticClass,
    trim: Surface,
) -> list[Mesh]:
    """Lamps, plates, bumpers, mirrors, handles, roof rails."""
    lamp = Surface(semantic, material=Material.GLASS, color=(225, 225, 220))
    tail = Surface(semantic, material=Material.GLASS, color=(190, 20, 22))
    plate = Surface(semantic, color=(235, 235, 225) if rng.random() < 0.6 else (230, 200, 60))
    parts = []
    front, rear = length / 2, -length / 2
    lamp_z = height * (0.42 if kind in ("van", "minibus") else 0.44)
    tail_z = height * rng.uniform(0.42, 0.6)
    tail_height = rng.uniform(0.12, 0.34 if kind in ("van", "estate", "suv") else 0.2)
    for side in (-1, 1):
        y = side * width * 0.36
        parts.append(box((0.34, 0.3, 0.13), lamp, center=(front - 0.2, y, lamp_z - 0.1)))
        parts.append(
            box(
                (0.1, 0.2, tail_height),
                tail,
                center=(rear + 0.035, side * width * 0.39, tail_z - 0.1),
            )
        )
        mirror = (length * 0.18, side * (width / 2 + 0.08), height * 0.66)
        slot = 0 if rng.random() < 0.6 else None
        shell = Surface(semantic, slot=slot, color=(255, 255, 255) if slot == 0 else (30, 30, 30))
        parts.append(ellipsoid(mirror, (0.08, 0.1, 0.07), shell, sides=6, rings=4))
    low = bottom - 0.02
    bumper = trim if rng.random() < 0.4 else Surface(semantic, material=Material.PAINT, slot=0)
    parts.append(box((0.16, width * 0.9, 0.24), bumper, center=(front - 0.07, 0, low)))
    parts.append(box((0.16, width * 0.92, 0.26), bumper, center=(rear + 0.06, 0, low)))
    parts.append(
        box(
            (0.06, width * rng.uniform(0.3, 0.55), 0.14), trim, center=(front - 0.0, 0, low + 0.14)
        )
    )
    parts.append(card((front + 0.03, 0.26, low + 0.06), (0, -0.52, 0), (0, 0, 0.11), plate))
    plate_z = low + rng.uniform(0.08, 0.42)
    parts.append(card((rear - 0.045, -0.26, plate_z), (0, 0.52, 0), (0, 0, 0.11), plate))
    if kind in ("suv", "estate") and rng.random() < 0.6:
        for side in (-1, 1):
            parts.append(
                box(
                    (length * 0.42, 0.04, 0.05),
                    trim,
                    center=(-length * 0.1, side * width * 0.36, height),
                )
            )
    return parts


_PAINTS = (
    (125, 20, 24), (160, 28, 30), (24, 45, 105), (40, 80, 140), (22, 62, 44), (60, 90, 70),
    (190, 160, 60), (110, 88, 66), (170, 90, 40), (90, 30, 60), (105, 150, 165), (200, 190, 165),
)  # fmt: skip


def paint_color(rng: np.random.Generator) -> Color:
    """Return a car colour: mostly greys, some colours."""
    roll = rng.random()
    if roll < 0.68:
        value = float(rng.choice([235, 205, 165, 120, 80, 50, 30])) * rng.uniform(0.9, 1.05)
        tone = value * (1 + rng.uniform(-0.05, 0.05, 3))
        return rgb(tone)
    base = np.array(_PAINTS[int(rng.integers(len(_PAINTS)))]) * rng.uniform(0.75, 1.2)
    return rgb(base)
