# SPDX-License-Identifier: Apache-2.0
"""A building site: collects a town's fixed parts and keeps them from standing in each other."""

from collections.abc import Sequence

import numpy as np

from training.streets.curve import Relief
from training.streets.mesh import Color, FloatArray, Mesh, merge
from training.streets.roads import Road
from training.streets.scene import Scene
from training.streets.shapes import translation

_CELL = 48.0
_EXTENT = 512


class Site:
    """Everything that does not move.

    Args:
        relief: Height of the land.
        center: ``(2,)`` middle of the town.
    """

    def __init__(self, relief: Relief, center: FloatArray) -> None:
        self.relief = relief
        self._corner = np.asarray(center) - _EXTENT / 2
        self._built = np.zeros((_EXTENT, _EXTENT), bool)
        self._reserved = np.zeros((_EXTENT, _EXTENT), bool)
        self._chunks: dict[tuple[int, int], list[Mesh]] = {}
        self._flat: dict[tuple[int, int], list[Mesh]] = {}
        self._scene = Scene()
        self.lamps: list[FloatArray] = []

    def ground(self, mesh: Mesh) -> None:
        """Add ground that is already in world coordinates; it casts no shadow."""
        self._bucket(self._flat, mesh)

    def build(self, mesh: Mesh, matrix: FloatArray | None = None) -> None:
        """Add one-of-a-kind geometry (buildings, walls)."""
        self._bucket(self._chunks, mesh if matrix is None else mesh.transformed(matrix))

    def surround(self, mesh: Mesh) -> None:
        """Add geometry all around the town; too far away for shadows."""
        name = f"surround/{len(self._scene.placements)}"
        self._scene.add(name, mesh)
        self._scene.casts_no_shadow.add(name)

    def place(
        self, name: str, mesh: Mesh, matrix: FloatArray, colors: Sequence[Color] = ()
    ) -> None:
        """Add a copy of a mesh that is used often (trees, lamps)."""
        self._scene.add(name, mesh, matrix, colors)

    def shade(self, matrix: FloatArray) -> None:
        """Darken a unit square of ground at a pose: something stands there."""
        self._scene.shades.append(matrix)

    @staticmethod
    def _bucket(buckets: dict[tuple[int, int], list[Mesh]], mesh: Mesh) -> None:
        if not len(mesh.vertices):
            return
        middle = mesh.vertices["position"][:, :2].mean(0)
        cell = (int(middle[0] // _CELL), int(middle[1] // _CELL))
        buckets.setdefault(cell, []).append(mesh)

    def footprint(
        self, road: Road, span: tuple[float, float], edges: tuple[float, float]
    ) -> FloatArray:
        """Return the grid cells ``(N, 2)`` under a rectangle of road places."""
        s = np.arange(span[0], span[1] + 0.7, 0.7)
        d = np.arange(min(edges), max(edges) + 0.7, 0.7)
        grid_s, grid_d = np.meshgrid(s, d)
        cells = np.floor(road.line.at(grid_s, grid_d) - self._corner).astype(int).reshape(-1, 2)
        return np.asarray(np.clip(cells, 0, _EXTENT - 1))

    def free(self, cells: FloatArray) -> bool:
        """Return whether nothing stands on these cells and no road runs there."""
        at = cells[:, 0], cells[:, 1]
        return not bool(self._built[at].any() or self._reserved[at].any())

    def take(self, cells: FloatArray) -> None:
        """Mark cells as built on."""
        self._built[cells[:, 0], cells[:, 1]] = True

    def reserve(self, cells: FloatArray) -> None:
        """Mark cells as road or pavement, where people may be but no buildings."""
        self._reserved[cells[:, 0], cells[:, 1]] = True

    def unbuilt(self, xy: FloatArray) -> bool:
        """Return whether no building stands at a point."""
        cell = np.clip(np.floor(np.asarray(xy) - self._corner).astype(int), 0, _EXTENT - 1)
        return not bool(self._built[cell[0], cell[1]])

    def open_land(self, xy: FloatArray) -> bool:
        """Return whether neither a building nor a road is at a point."""
        cell = np.clip(np.floor(np.asarray(xy) - self._corner).astype(int), 0, _EXTENT - 1)
        return self.unbuilt(xy) and not bool(self._reserved[cell[0], cell[1]])

    def world(self, road: Road, s: float, d: float, lift: float = 0.0) -> FloatArray:
        """Return the world point ``(3,)`` on the ground at a place of a road."""
        xy = road.line.at(s, d)
        return np.array([*xy, float(self.relief.height(xy)) + road.height(d) + lift])

    def facing(self, road: Road, s: float, d: float, *, mirrored: bool = True) -> FloatArray:
        """Return a pose whose x points to the middle of the road and whose −y faces the drivers.

        On one side of the road that takes a mirror image. Things with lettering must not be
        mirrored; their x may then point away from the road.
        """
        side = 1 if d > 0 else -1
        heading = float(road.line.heading(s))
        left = np.array([-np.sin(heading), np.cos(heading), 0.0])
        along = np.array([np.cos(heading), np.sin(heading), 0.0])
        travel = 1 if (side > 0) == road.left_hand else -1
        matrix = np.eye(4)
        matrix[:3, 0] = -side * left if mirrored else -travel * left
        matrix[:3, 1] = travel * along
        matrix[:3, 3] = self.world(road, s, d)
        return matrix

    def scene(self) -> Scene:
        """Return what was built, in chunks that can be culled."""
        scene = Scene().joined(self._scene)
        for prefix, buckets in (("ground", self._flat), ("built", self._chunks)):
            for (column, row), meshes in buckets.items():
                middle = ((column + 0.5) * _CELL, (row + 0.5) * _CELL)
                whole = merge(meshes).transformed(translation(-middle[0], -middle[1]))
                name = f"{prefix}/{column}/{row}"
                scene.add(name, whole, translation(*middle))
                if prefix == "ground":
                    scene.casts_no_shadow.add(name)
        return scene
