# SPDX-License-Identifier: Apache-2.0
"""What the renderer draws: meshes, where they stand, and the light on them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training.streets.mesh import Color, FloatArray, Mesh

INSTANCE = np.dtype([("rows", "f4", (3, 4)), ("colors", "u4", 4), ("identity", "u4")])
EGO_IDENTITY = 65535


def instance(
    matrix: FloatArray, colors: Sequence[Color] = (), identity: int = 0
) -> npt.NDArray[np.void]:
    """Return one placed copy of a mesh, ``(1,)`` of :data:`INSTANCE`.

    Args:
        matrix: ``(4, 4)`` world from model.
        colors: Up to four sRGB colours for the mesh's slots.
        identity: Number of the thing it is, 0 for stuff; 16 bits.
    """
    record = np.zeros(1, INSTANCE)
    record["rows"][0] = matrix[:3]
    for slot, (red, green, blue) in enumerate(colors[:4]):
        record["colors"][0, slot] = int(red) | int(green) << 8 | int(blue) << 16 | 0xFF000000
    record["identity"] = identity
    return record


@dataclass
class Scene:
    """Meshes by name and their placed copies.

    Attributes:
        meshes: Every mesh that is placed.
        placements: For each name the ``(N,)`` records of :data:`INSTANCE`.
        casts_no_shadow: Names that the shadow map leaves out (the ground).
        shades: ``(4, 4)`` poses of unit squares of ground that get little light from the sky
            because something stands on them.
    """

    meshes: dict[str, Mesh] = field(default_factory=dict)
    placements: dict[str, list[npt.NDArray[np.void]]] = field(default_factory=dict)
    casts_no_shadow: set[str] = field(default_factory=set)
    shades: list[FloatArray] = field(default_factory=list)

    def add(
        self,
        name: str,
        mesh: Mesh,
        matrix: FloatArray | None = None,
        colors: Sequence[Color] = (),
        identity: int = 0,
    ) -> None:
        """Place a copy of a mesh; a name stands for one mesh only."""
        self.meshes.setdefault(name, mesh)
        record = instance(np.eye(4) if matrix is None else matrix, colors, identity)
        self.placements.setdefault(name, []).append(record)

    def joined(self, other: "Scene") -> "Scene":
        """Return a scene that shows both."""
        placements = {name: list(records) for name, records in self.placements.items()}
        for name, records in other.placements.items():
            placements.setdefault(name, []).extend(records)
        return Scene(
            self.meshes | other.meshes,
            placements,
            self.casts_no_shadow | other.casts_no_shadow,
            self.shades + other.shades,
        )


@dataclass(frozen=True)
class Lamp:
    """A light bulb that reaches ``reach`` metres, linear RGB colour."""

    position: tuple[float, float, float]
    color: tuple[float, float, float]
    reach: float


@dataclass(frozen=True)
class Lighting:
    """Light and air.

    Attributes:
        sky: Radiance of the sky, ``(S, S, 3)`` float32 linear RGB, a stereographic picture of the
            upper half: direction (x, y, z) is at ``(x, y) / (1 + z)``, -1..1 over the image.
        sun_direction: ``(3,)`` unit vector towards the sun.
        sun_color: Linear RGB of direct sunlight.
        ambient_up: Light that comes from above.
        ambient_down: Light that comes from below.
        fog_color: Linear RGB that far things fade to.
        fog_density: Per metre.
        wetness: 0 dry to 1 soaked.
        window_glow: Brightness of lit windows.
        lamp_glow: Brightness of head lamps, signals and street lamps.
        lamps: At most eight lamps that light their surroundings.
    """

    sky: npt.NDArray[np.float32]
    sun_direction: FloatArray
    sun_color: FloatArray
    ambient_up: FloatArray
    ambient_down: FloatArray
    fog_color: FloatArray
    fog_density: float = 0.0
    wetness: float = 0.0
    window_glow: float = 0.0
    lamp_glow: float = 1.0
    lamps: tuple[Lamp, ...] = ()
