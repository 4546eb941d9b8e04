# SPDX-License-Identifier: Apache-2.0
"""Whoever is in the street: what they look like, where they are at a time, how fast they move."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training.streets import bodies
from training.streets.classes import SemanticClass
from training.streets.mesh import Color, FloatArray, Mesh
from training.streets.people import Person
from training.streets.roads import Road
from training.streets.scene import Scene, instance
from training.streets.shapes import pose
from training.streets.site import Site

_GAIT_STEPS = 8


@dataclass(frozen=True)
class Part:
    """One mesh of an actor with its own instance number (a rider's bicycle is a second part)."""

    name: str
    mesh: Mesh
    colors: Sequence[Color]
    semantic: SemanticClass
    identity: int


@dataclass(frozen=True)
class Actor:
    """Somebody or something with a place on a road and a speed.

    Attributes:
        parts: What it looks like; people also have a ``gait``.
        road: Along which it moves.
        s: Place at time 0.
        d: Metres left of the centre line.
        speed: m/s along s; negative moves towards s = 0.
        turn: Yaw against the direction of the road, radians.
        sideways: m/s along d (people who cross).
        reach: Radius that nobody else may enter, metres.
        footprint: Length and width of the ground that it keeps dark, metres.
        gait: Meshes of a walker's steps; the first part's mesh is replaced by one of them.
        stride_phase: Place in the gait at time 0, 0..1.
    """

    parts: tuple[Part, ...]
    road: Road
    s: float
    d: float
    speed: float
    turn: float
    sideways: float = 0.0
    reach: float = 0.4
    footprint: tuple[float, float] = (0.7, 0.6)
    gait: "Gait | None" = None
    stride_phase: float = 0.0

    def place(self, time: float) -> tuple[float, float]:
        """Return (s, d) at a time in seconds."""
        return self.s + self.speed * time, self.d + self.sideways * time

    def matrix(self, site: Site, time: float) -> FloatArray:
        """Return the ``(4, 4)`` pose at a time."""
        s, d = self.place(time)
        x, y, z = site.world(self.road, s, d)
        standing = pose(x, y, z, float(self.road.line.heading(s)) + self.turn)
        if self.reach < 1.0:
            return standing
        # Vehicles lie on the slope that they stand on.
        forward = np.array([np.cos(self.turn), np.sin(self.turn)]) * self.reach * 0.6
        front = site.world(self.road, s + forward[0], d + forward[1])
        back = site.world(self.road, s - forward[0], d - forward[1])
        climb = np.arctan2(front[2] - back[2], 1.2 * self.reach)
        tilt = np.eye(4)
        tilt[0, 0] = tilt[2, 2] = np.cos(climb)
        tilt[2, 0], tilt[0, 2] = np.sin(climb), -np.sin(climb)
        return np.asarray(standing @ tilt)

    def velocity(self, site: Site, time: float) -> FloatArray:
        """Return the world velocity ``(3,)``, m/s."""
        if self.speed == 0 and self.sideways == 0:
            return np.zeros(3)
        step = 0.05
        after, before = self.matrix(site, time + step), self.matrix(site, time - step)
        return (after[:3, 3] - before[:3, 3]) / (2 * step)

    def placed(self, site: Site, time: float) -> "Placement":
        """Return what stands where at a time."""
        matrix = self.matrix(site, time)
        parts = []
        for index, part in enumerate(self.parts):
            name, mesh = part.name, part.mesh
            if self.gait is not None and index == 0:
                travelled = np.hypot(self.speed, self.sideways) * time
                name, mesh = self.gait.step(
                    self.stride_phase + travelled / self.gait.stride_length
                )
            parts.append((name, mesh, instance(matrix, part.colors, part.identity)))
        length, width = self.footprint
        return Placement(tuple(parts), matrix @ np.diag([length, width, 1.0, 1.0]))


@dataclass(frozen=True)
class Placement:
    """An actor at one time.

    Attributes:
        parts: Name, mesh and the placed copy ``(1,)`` of each part.
        shade: Pose of the ground it keeps dark, ``(4, 4)``.
    """

    parts: tuple[tuple[str, Mesh, npt.NDArray[np.void]], ...]
    shade: FloatArray

    @property
    def ground(self) -> FloatArray:
        """Where it stands, ``(2,)`` metres."""
        return self.shade[:2, 3]

    @property
    def heading(self) -> float:
        """Where it faces, radians counter-clockwise from x."""
        return float(np.arctan2(self.shade[1, 0], self.shade[0, 0]))

    def show(self, scene: Scene) -> None:
        """Add it to a scene."""
        for name, mesh, record in self.parts:
            scene.meshes.setdefault(name, mesh)
            scene.placements.setdefault(name, []).append(record)
        scene.shades.append(self.shade)


@dataclass
class Gait:
    """A person's walk as a ring of meshes, posed when first needed."""

    name: str
    person: Person
    meshes: dict[int, Mesh] = field(default_factory=dict)

    @property
    def stride_length(self) -> float:
        """Metres per full cycle."""
        return 0.82 * self.person.height

    def step(self, cycle: float) -> tuple[str, Mesh]:
        """Return the mesh at a place in the cycle (1 = a whole one)."""
        index = int(np.floor(cycle * _GAIT_STEPS)) % _GAIT_STEPS
        if index not in self.meshes:
            phase = 2 * np.pi * index / _GAIT_STEPS
            self.meshes[index] = bodies.body(self.person, "walk", phase)
        return f"{self.name}/{index}", self.meshes[index]
