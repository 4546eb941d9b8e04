# SPDX-License-Identifier: Apache-2.0
"""What the buildings of one row have in common: terraces, blocks, houses, sheds."""

from dataclasses import dataclass

import numpy as np

from training.streets import textures
from training.streets.mesh import Color, rgb

_WALL_COLORS: tuple[Color, ...] = (
    (158, 92, 70), (178, 120, 92), (205, 180, 140), (222, 205, 170), (196, 186, 172),
    (232, 228, 220), (150, 140, 128), (120, 92, 78), (214, 196, 190), (178, 188, 196),
    (226, 200, 150), (135, 128, 122), (205, 160, 130), (240, 236, 226), (96, 88, 84),
)  # fmt: skip


@dataclass(frozen=True)
class BuildingStyle:
    """What the buildings of one row share.

    Attributes:
        floors: Lowest and highest number of floors.
        floor_height: Metres.
        bay_width: Metres.
        facade: Texture layers of the upper floors' bays, in turn.
        ground: Texture layers of the ground floor's bays, in turn.
        shop: Whether the ground floor is shops.
        wall: Texture layer of the walls without windows.
        color: Wall colour.
        roof: "flat", "gable" (ridge along the street), "front" (gable to the street), "hip".
        roof_layer: Texture layer of the roof.
    """

    floors: tuple[int, int]
    floor_height: float
    bay_width: float
    facade: tuple[int, ...]
    ground: tuple[int, ...]
    shop: bool
    wall: int
    color: Color
    roof: str
    roof_layer: int


def style(rng: np.random.Generator, kind: str) -> BuildingStyle:
    """Return a style; ``kind`` is "terrace", "block", "house" or "shed"."""
    floors = {"terrace": (2, 4), "block": (3, 9), "house": (1, 2), "shed": (1, 2)}[kind]
    low = int(rng.integers(floors[0], floors[1] + 1))
    base = np.array(_WALL_COLORS[int(rng.integers(len(_WALL_COLORS)))]) * rng.uniform(0.7, 1.1)
    shops = {"terrace": 0.55, "block": 0.6, "house": 0.02, "shed": 0.4}[kind]
    facade = _layers(rng, textures.FACADES, 0.6)
    shop = bool(rng.random() < shops)
    ground = _layers(rng, textures.SHOPS, 0.3) if shop else facade
    roofs = {
        "terrace": ("gable", "gable", "flat", "front"),
        "block": ("flat", "flat", "flat", "gable"),
        "house": ("gable", "front", "hip", "hip"),
        "shed": ("flat", "flat", "gable", "front"),
    }[kind]
    return BuildingStyle(
        floors=(low, min(low + int(rng.integers(0, 3)), floors[1] + 1)),
        floor_height=rng.uniform(2.6, 3.6) if kind != "shed" else rng.uniform(3.5, 5.5),
        bay_width=rng.uniform(2.0, 4.2),
        facade=facade,
        ground=ground,
        shop=shop,
        wall=int(rng.choice(textures.WALLS)),
        color=rgb(np.clip(base, 20, 250)),
        roof=str(rng.choice(roofs)),
        roof_layer=int(rng.choice(textures.ROOFS)),
    )


def _layers(rng: np.random.Generator, choices: tuple[int, ...], alike: float) -> tuple[int, ...]:
    """Return one layer, or with probability ``1 - alike`` two or three that take turns."""
    count = 1 if rng.random() < alike else int(rng.integers(2, 4))
    return tuple(int(layer) for layer in rng.choice(choices, count))
