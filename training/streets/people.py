# SPDX-License-Identifier: Apache-2.0
"""Who people are: their size, build, clothes and colours."""

from dataclasses import dataclass

import numpy as np

from training.streets import textures
from training.streets.mesh import Color, rgb


@dataclass(frozen=True)
class Person:
    """A body and its clothes.

    Attributes:
        height: Metres.
        build: 1 = average girth.
        coat: Length of the upper clothing below the hip, metres.
        skirt: Whether the lower clothing is one flared piece.
        hat: "" or "cap", "helmet", "hood", "long" (hair).
        bag: "" or "back", "hand", "shoulder".
        stride: Half the angle between the legs of a walker, radians.
        cloth: Texture layer of the upper clothing.
        shoes: Colour of the shoes.
    """

    height: float
    build: float
    coat: float
    skirt: bool
    hat: str
    bag: str
    stride: float
    cloth: int
    shoes: Color


def design(rng: np.random.Generator) -> Person:
    """Return a person; one in eight is a child."""
    child = rng.random() < 0.12
    height = rng.uniform(1.0, 1.45) if child else float(np.clip(rng.normal(1.71, 0.09), 1.5, 1.98))
    cloth = textures.CLOTH[int(rng.integers(2))] if rng.random() < 0.4 else textures.WHITE
    shoe = int(rng.integers(15, 120))
    return Person(
        height=height,
        build=float(np.clip(rng.normal(1.0, 0.13), 0.75, 1.45)),
        coat=float(rng.choice([0.02, 0.08, 0.16, 0.32, 0.48], p=[0.25, 0.3, 0.2, 0.15, 0.1])),
        skirt=bool(rng.random() < 0.12),
        hat=str(rng.choice(["", "cap", "hood", "long"], p=[0.5, 0.14, 0.1, 0.26])),
        bag=str(rng.choice(["", "back", "hand", "shoulder"], p=[0.45, 0.2, 0.2, 0.15])),
        stride=rng.uniform(0.25, 0.55),
        cloth=cloth,
        shoes=(shoe, shoe, shoe),
    )


def clothing_colors(rng: np.random.Generator) -> tuple[Color, Color, Color, Color]:
    """Return colours for skin, upper clothing, lower clothing and hair."""
    skin_tones = [(232, 190, 165), (214, 168, 138), (180, 130, 98), (130, 88, 62), (88, 58, 42)]
    hair_tones = [(28, 22, 18), (52, 36, 26), (90, 62, 38), (165, 130, 80), (150, 148, 145)]

    def garment(dark_share: float) -> Color:
        if rng.random() < dark_share:
            value = rng.uniform(22, 75)
            return rgb(value * (1 + rng.uniform(-0.12, 0.16, 3)))
        if rng.random() < 0.45:
            return rgb(np.full(3, rng.uniform(90, 240)) * (1 + rng.uniform(-0.08, 0.08, 3)))
        vivid = rng.uniform(25, 235, 3)
        return rgb(vivid.mean() + rng.uniform(0.25, 0.9) * (vivid - vivid.mean()))

    lower = garment(0.5)
    if rng.random() < 0.35:
        lower = rgb(np.array([58, 74, 105]) * rng.uniform(0.6, 1.4))
    skin = skin_tones[int(rng.integers(5))]
    return skin, garment(0.5), lower, hair_tones[int(rng.integers(5))]
