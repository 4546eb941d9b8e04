# SPDX-License-Identifier: Apache-2.0
"""Triangle meshes as numpy arrays, and the one way to make them: grids of points.

A box, a tube, a lofted car body, a strip of road are all grids of points with a surface. Every
vertex carries its semantic class, so one mesh may hold a pole and its traffic light.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from training.streets.classes import SemanticClass

FloatArray = npt.NDArray[np.floating]
Color = tuple[int, int, int]

VERTEX = np.dtype(
    [
        ("position", "f4", 3),
        ("normal", "f4", 3),
        ("uv", "f4", 2),
        ("color", "u1", 4),
        ("info", "u4"),
    ]
)


def rgb(values: Sequence[float] | FloatArray) -> Color:
    """Return a colour from three numbers about 0..255, clipped."""
    red, green, blue = (int(np.clip(value, 0, 255)) for value in values)
    return red, green, blue


class Material(IntEnum):
    """How light meets a surface; the numbers are those of ``shaders/street.frag``."""

    MATTE = 0
    PAINT = 1
    GLASS = 2
    FACADE = 3
    FOLIAGE = 4
    EMISSIVE = 5
    GROUND = 6
    VEIL = 7


@dataclass(frozen=True)
class Surface:
    """What covers a mesh.

    Attributes:
        semantic: Class of every pixel it covers.
        layer: Texture layer, see :mod:`training.streets.textures`.
        material: Shading model.
        slot: Which of the instance's four colours multiplies it; ``None`` = none.
        color: Vertex colour, sRGB 0..255.
        ground_offset: Bias step (0..15) of flat decals, so that the higher one wins.
    """

    semantic: SemanticClass
    layer: int = 0
    material: Material = Material.MATTE
    slot: int | None = None
    color: Color = (255, 255, 255)
    ground_offset: int = 0

    def tinted(self, color: Color) -> "Surface":
        """Return this surface with another vertex colour."""
        return replace(self, color=color)

    @property
    def info(self) -> int:
        """The packed word of the vertex format: layer, slot, material, class, decal step."""
        slot = 15 if self.slot is None else self.slot
        return (
            self.layer
            | slot << 8
            | int(self.material) << 12
            | int(self.semantic) << 16
            | self.ground_offset << 24
        )


@dataclass(frozen=True)
class Mesh:
    """Triangles.

    Attributes:
        vertices: ``(N,)`` of :data:`VERTEX`; metres, z up.
        triangles: ``(T, 3)`` uint32 indices.
    """

    vertices: npt.NDArray[np.void]
    triangles: npt.NDArray[np.uint32]

    def transformed(self, matrix: FloatArray) -> "Mesh":
        """Return the mesh moved by a rigid or scaling ``(3, 4)`` or ``(4, 4)`` matrix."""
        vertices = self.vertices.copy()
        linear = np.asarray(matrix[:3, :3], np.float32)
        vertices["position"] = self.vertices["position"] @ linear.T + matrix[:3, 3]
        normal = self.vertices["normal"] @ np.linalg.inv(linear)
        length = np.linalg.norm(normal, axis=1, keepdims=True)
        vertices["normal"] = normal / np.maximum(length, 1e-9)
        return Mesh(vertices, self.triangles)

    @property
    def radius(self) -> float:
        """Radius of the sphere about the origin that holds every vertex, metres."""
        if not len(self.vertices):
            return 0.0
        return float(np.sqrt((self.vertices["position"] ** 2).sum(1).max()))


EMPTY = Mesh(np.zeros(0, VERTEX), np.zeros((0, 3), np.uint32))


def merge(meshes: Iterable[Mesh]) -> Mesh:
    """Return one mesh that holds all of them."""
    parts = [mesh for mesh in meshes if len(mesh.vertices)]
    if not parts:
        return EMPTY
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    triangles = [
        part.triangles + np.uint32(start) for part, start in zip(parts, starts, strict=False)
    ]
    return Mesh(np.concatenate([part.vertices for part in parts]), np.concatenate(triangles))


def vertices_from(
    position: FloatArray, normal: FloatArray, uv: FloatArray, surface: Surface
) -> npt.NDArray[np.void]:
    """Pack ``(N, 3)`` positions and normals and ``(N, 2)`` texture coordinates."""
    vertices = np.zeros(len(position), VERTEX)
    vertices["position"] = position
    vertices["normal"] = normal
    vertices["uv"] = uv
    vertices["color"] = (*surface.color, 255)
    vertices["info"] = surface.info
    return vertices


def grid(
    points: FloatArray,
    surface: Surface,
    *,
    uv: FloatArray | None = None,
    flat: bool = False,
    skip: Sequence[tuple[int, int]] = (),
) -> Mesh:
    """Return the surface through a grid of points.

    Args:
        points: ``(R, C, 3)``, metres.
        surface: What covers it.
        uv: ``(R, C, 2)`` texture coordinates; default: unit square per quad row and column.
        flat: One normal per quad (sharp edges) instead of smooth ones.
        skip: Quads ``(row, column)`` to leave out.
    """
    points = np.asarray(points, np.float32)
    rows, columns = points.shape[:2]
    if uv is None:
        v, u = np.mgrid[0:rows, 0:columns]
        uv = np.stack([u, v], -1).astype(np.float32)
    keep = np.ones((rows - 1, columns - 1), bool)
    for row, column in skip:
        keep[row, column] = False
    if flat:
        corners = _corners(points)[keep]
        return quads(corners, surface, uv=_corners(uv)[keep])
    normal = _unit(cross(_slope(points, 1), _slope(points, 0)))
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1))[keep]
    corners_at = first.astype(np.uint32)[:, None] + _quad_offsets(columns)
    vertices = vertices_from(
        points.reshape(-1, 3), normal.reshape(-1, 3), uv.reshape(-1, 2), surface
    )
    return Mesh(vertices, corners_at.reshape(-1, 3))


def quads(corners: FloatArray, surface: Surface, *, uv: FloatArray | None = None) -> Mesh:
    """Return separate flat quads.

    Args:
        corners: ``(N, 4, 3)`` around each quad, metres.
        surface: What covers them.
        uv: ``(N, 4, 2)`` or ``(4, 2)`` texture coordinates; default: the unit square.
    """
    corners = np.asarray(corners, np.float32)
    normal = _unit(cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]))
    square = UNIT_SQUARE if uv is None else np.asarray(uv, np.float32)
    vertices = vertices_from(
        corners.reshape(-1, 3),
        np.repeat(normal, 4, axis=0),
        np.broadcast_to(square, (len(corners), 4, 2)).reshape(-1, 2),
        surface,
    )
    first = np.arange(len(corners), dtype=np.uint32)[:, None] * 4
    return Mesh(vertices, (first + _SEPARATE).reshape(-1, 3))


UNIT_SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
_SEPARATE = np.array([0, 1, 2, 0, 2, 3], np.uint32)


def _quad_offsets(columns: int) -> npt.NDArray[np.uint32]:
    return np.array([0, 1, columns + 1, 0, columns + 1, columns], np.uint32)


def _corners(values: FloatArray) -> FloatArray:
    """Return the four corners of each quad of a grid, ``(R - 1, C - 1, 4, K)``."""
    return np.stack([values[:-1, :-1], values[:-1, 1:], values[1:, 1:], values[1:, :-1]], 2)


def cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the cross product along the last axis; numpy's own is slow on small arrays."""
    out = np.empty(np.broadcast_shapes(a.shape, b.shape), np.result_type(a, b))
    out[..., 0] = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    out[..., 1] = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    out[..., 2] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return out


def _slope(points: FloatArray, axis: int) -> FloatArray:
    """Return central differences along an axis, one-sided at the ends."""
    slope = np.empty_like(points)
    along = np.moveaxis(points, axis, 0) if axis else points
    out = np.moveaxis(slope, axis, 0) if axis else slope
    out[1:-1] = along[2:] - along[:-2]
    out[0] = along[1] - along[0]
    out[-1] = along[-1] - along[-2]
    return slope


def _unit(vectors: FloatArray) -> FloatArray:
    length = np.sqrt((vectors * vectors).sum(-1, keepdims=True))
    return np.where(length > 1e-9, vectors / np.maximum(length, 1e-9), [0.0, 0.0, 1.0])
