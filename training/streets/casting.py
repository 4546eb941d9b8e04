# SPDX-License-Identifier: Apache-2.0
"""Hands out designs and instance numbers: which cars and people one town has."""

import numpy as np

from training.streets import bodies, cars, cycles, heavy_vehicles, people
from training.streets.actors import Gait, Part
from training.streets.appearance import AppearancePool
from training.streets.bodies import Stance
from training.streets.cars import VehicleDesign
from training.streets.classes import SemanticClass
from training.streets.mesh import Mesh

_LARGEST_IDENTITY = 999
_PEOPLE = 18


class Casting:
    """Hands out designs and instance numbers for one town.

    Args:
        pool: Which styles may appear.
        rng: Source of choices.
    """

    def __init__(self, pool: AppearancePool, rng: np.random.Generator) -> None:
        self._rng = rng
        self._numbers: dict[SemanticClass, int] = {}
        makers = {
            "car": (cars.car, 12),
            "truck": (heavy_vehicles.truck, 3),
            "bus": (heavy_vehicles.bus, 2),
            "train": (heavy_vehicles.train, 1),
            "bicycle": (cycles.bicycle, 4),
            "motorcycle": (cycles.motorcycle, 3),
        }
        self._vehicles: dict[str, list[VehicleDesign]] = {
            kind: [maker(pool.style(kind, rng)) for _ in range(count)]
            for kind, (maker, count) in makers.items()
        }
        self._people = [people.design(pool.style("person", rng)) for _ in range(_PEOPLE)]
        self._gaits = [Gait(f"walker/{k}", person) for k, person in enumerate(self._people)]
        self._posed: dict[tuple[int, Stance, int], Mesh] = {}

    def number(self, semantic: SemanticClass) -> int | None:
        """Return the next free instance number of a class, ``None`` when they are used up."""
        count = self._numbers.get(semantic, 0) + 1
        if count > _LARGEST_IDENTITY:
            return None
        self._numbers[semantic] = count
        return count

    def vehicle(self, kind: str, *, limit: float = 99.0) -> tuple[Part, VehicleDesign] | None:
        """Return a vehicle no longer than ``limit`` metres."""
        options = [k for k, v in enumerate(self._vehicles[kind]) if v.length <= limit]
        if not options:
            return None
        index = int(self._rng.choice(options))
        design = self._vehicles[kind][index]
        identity = self.number(design.semantic)
        if identity is None:
            return None
        colors = (cars.paint_color(self._rng), cars.paint_color(self._rng))
        return Part(f"{kind}/{index}", design.mesh, colors, design.semantic, identity), design

    def walker(self) -> tuple[Part, Gait] | None:
        """Return somebody on foot."""
        identity = self.number(SemanticClass.PERSON)
        if identity is None:
            return None
        gait = self._gaits[int(self._rng.integers(len(self._gaits)))]
        name, mesh = gait.step(self._rng.random())
        colors = people.clothing_colors(self._rng)
        return Part(name, mesh, colors, SemanticClass.PERSON, identity), gait

    def posed(self, stance: Stance) -> Part | None:
        """Return somebody who stands, sits or rides."""
        riding = stance in ("cycle", "motor")
        semantic = SemanticClass.RIDER if riding else SemanticClass.PERSON
        identity = self.number(semantic)
        if identity is None:
            return None
        index, variant = int(self._rng.integers(len(self._people))), int(self._rng.integers(3))
        key = (index, stance, variant)
        if key not in self._posed:
            person = self._people[index]
            phase = 2 * np.pi * variant / 3
            self._posed[key] = bodies.body(person, stance, phase, np.random.default_rng(variant))
        name = f"posed/{index}/{stance}/{variant}"
        colors = people.clothing_colors(self._rng)
        return Part(name, self._posed[key], colors, semantic, identity)
