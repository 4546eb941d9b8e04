# SPDX-License-Identifier: Apache-2.0
"""Simple solids: boxes, tubes, ellipsoids, discs, cards. Metres, z up."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from training.streets.classes import SemanticClass
from training.streets.mesh import (
    UNIT_SQUARE,
    FloatArray,
    Mesh,
    Surface,
    cross,
    grid,
    merge,
    quads,
    vertices_from,
)

Point = tuple[float, float, float] | Sequence[float] | FloatArray


def translation(x: float, y: float, z: float = 0.0) -> FloatArray:
    """Return a ``(4, 4)`` translation."""
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def pose(x: float, y: float, z: float = 0.0, yaw: float = 0.0, scale: float = 1.0) -> FloatArray:
    """Return the ``(4, 4)`` matrix that turns by ``yaw`` (radians about z) and then moves."""
    cosine, sine = np.cos(yaw) * scale, np.sin(yaw) * scale
    return np.array(
        [[cosine, -sine, 0, x], [sine, cosine, 0, y], [0, 0, scale, z], [0, 0, 0, 1]], float
    )


def box(
    size: Point,
    surface: Surface,
    *,
    center: Point = (0.0, 0.0, 0.0),
    tile: float = 1.0,
    top: Surface | None = None,
) -> Mesh:
    """Return a box with sharp edges.

    Args:
        size: Extent along x, y, z.
        surface: Its sides.
        center: Centre of its *bottom* face.
        tile: Metres that one repeat of the texture covers.
        top: Surface of the lid; default the sides'.
    """
    length, width, height = size
    half = np.array([length / 2, width / 2, height / 2])
    middle = np.asarray(center, float) + [0, 0, height / 2]
    corners = _BOX * half + middle
    uv = (
        _BOX_UV
        * (np.array([[length, height], [width, height], [length, width]]) / tile)[_BOX_FACE]
    )
    if top is None:
        return quads(corners, surface, uv=uv)
    return merge([quads(corners[:5], surface, uv=uv[:5]), quads(corners[5:], top, uv=uv[5:])])


# Faces -y, +y, -x, +x, bottom, top of the cube of half size 1, and which two edges each spans.
_BOX = np.array(
    [
        [[-1, -1, -1], [1, -1, -1], [1, -1, 1], [-1, -1, 1]],
        [[1, 1, -1], [-1, 1, -1], [-1, 1, 1], [1, 1, 1]],
        [[-1, 1, -1], [-1, -1, -1], [-1, -1, 1], [-1, 1, 1]],
        [[1, -1, -1], [1, 1, -1], [1, 1, 1], [1, -1, 1]],
        [[-1, 1, -1], [1, 1, -1], [1, -1, -1], [-1, -1, -1]],
        [[-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]],
    ],
    float,
)
_BOX_FACE = np.array([0, 0, 1, 1, 2, 2])[:, None].repeat(4, 1)
_BOX_UV = UNIT_SQUARE[None].astype(float)


def tube(
    path: FloatArray,
    radii: FloatArray | float,
    surface: Surface,
    *,
    sides: int = 6,
    squash: float = 1.0,
    caps: bool = True,
) -> Mesh:
    """Return a tube along a path.

    Args:
        path: ``(N, 3)`` centre points.
        radii: Radius at each, ``(N,)`` or one number.
        surface: What covers it.
        sides: Corners of the cross-section.
        squash: Depth over width of the cross-section.
        caps: Close both ends by shrinking the radius to zero.
    """
    path = np.asarray(path, float)
    radius = np.broadcast_to(np.asarray(radii, float), len(path))
    if caps:
        path = np.concatenate([path[:1], path, path[-1:]])
        radius = np.concatenate([[0.0], radius, [0.0]])
    steps = path[1:] - path[:-1]
    tangent = np.concatenate([steps[:1], steps[1:] + steps[:-1], steps[-1:]])
    if caps and len(path) > 3:
        tangent[0], tangent[-1] = tangent[1], tangent[-2]
    length = np.sqrt((tangent * tangent).sum(1))
    tangent[length < 1e-9] = [0, 0, 1]
    tangent /= np.where(length < 1e-9, 1.0, length)[:, None]
    side = cross(np.where(np.abs(tangent[:, 1:2]) > 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]]), tangent)
    side /= np.sqrt((side * side).sum(1))[:, None]
    front = cross(tangent, side)
    turns = np.arange(sides + 1) / sides
    angle = turns * (2 * np.pi)
    ring = (np.cos(angle) * squash)[:, None] * side[:, None] + np.sin(angle)[:, None] * front[
        :, None
    ]
    points = path[:, None] + radius[:, None, None] * ring
    uv = np.empty((*points.shape[:2], 2))
    uv[..., 0] = turns
    uv[0, :, 1] = 0
    uv[1:, :, 1] = np.cumsum(np.sqrt((steps * steps).sum(1)))[:, None]
    return grid(points, surface, uv=uv)


def ellipsoid(
    center: Point, radii: Point, surface: Surface, *, sides: int = 8, rings: int = 6
) -> Mesh:
    """Return an ellipsoid."""
    unit, uv, triangles = _sphere(sides, rings)
    reach = np.asarray(radii, float)
    normal = unit / reach
    normal /= np.sqrt((normal * normal).sum(1))[:, None]
    position = unit * reach + np.asarray(center, float)
    return Mesh(vertices_from(position, normal, uv, surface), triangles)


@cache
def _sphere(sides: int, rings: int) -> tuple[FloatArray, FloatArray, npt.NDArray[np.uint32]]:
    """Return the unit sphere's points ``(N, 3)``, texture coordinates and triangles."""
    theta = np.linspace(0, np.pi, rings + 1)
    phi = np.linspace(0, 2 * np.pi, sides + 1)
    unit = np.stack(
        [
            np.sin(theta)[:, None] * np.cos(phi),
            np.sin(theta)[:, None] * np.sin(phi),
            np.cos(theta)[:, None] * np.ones_like(phi),
        ],
        -1,
    )
    uv = np.stack(np.meshgrid(phi / np.pi, theta / np.pi), -1)
    mesh = grid(unit, Surface(SemanticClass.IGNORE))
    return unit.reshape(-1, 3), uv.reshape(-1, 2), mesh.triangles


def wheel(
    center: Point, radius: float, width: float, tyre: Surface, rim: Surface, *, sides: int = 14
) -> Mesh:
    """Return a wheel that turns about y: tyre tread and walls, rim discs on both sides."""
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    profile = np.array(
        [
            [0.62, -width / 2 * 0.8],
            [0.95, -width / 2],
            [1.0, -width / 4],
            [1.0, width / 4],
            [0.95, width / 2],
            [0.62, width / 2 * 0.8],
        ]
    )
    reach = profile[:, 0] * radius
    points = np.stack(
        [
            np.cos(angle)[None] * reach[:, None],
            np.broadcast_to(profile[:, 1:], (6, sides + 1)),
            np.sin(angle)[None] * reach[:, None],
        ],
        -1,
    )
    parts = [grid(points, tyre)]
    for side in (-1, 1):
        edge = np.stack([np.cos(angle), np.zeros_like(angle), np.sin(angle)], -1) * radius * 0.62
        edge[:, 1] = side * width * 0.4
        hub = np.zeros_like(edge)
        hub[:, 1] = side * width * 0.34
        disc = np.stack([hub, edge])
        mesh = grid(disc, rim, uv=disc[..., [0, 2]] / (radius * 1.24) + 0.5)
        mesh.vertices["normal"] = [0, side, 0]
        parts.append(mesh)
    return merge(parts).transformed(translation(*center))


def card(
    corner: Point, across: Point, up: Point, surface: Surface, *, repeat: Point = (1.0, 1.0)
) -> Mesh:
    """Return a flat quad from a corner and its two edges; ``repeat`` scales the texture."""
    origin, u, v = (np.asarray(value, float) for value in (corner, across, up))
    corners = np.stack([origin, origin + u, origin + u + v, origin + v])[None]
    return quads(corners, surface, uv=UNIT_SQUARE * np.asarray(repeat, np.float32)[:2])
