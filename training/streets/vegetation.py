# SPDX-License-Identifier: Apache-2.0
"""Trees, shrubs and hedges: leaf cards around dark cores, or veils of twigs in winter."""

from dataclasses import dataclass

import numpy as np

from training.streets import textures
from training.streets.classes import SemanticClass
from training.streets.mesh import FloatArray, Material, Mesh, Surface, merge, vertices_from
from training.streets.shapes import box, ellipsoid, tube

_VEGETATION = SemanticClass.VEGETATION


def cards(
    centers: FloatArray,
    sizes: FloatArray,
    rng: np.random.Generator,
    surface: Surface,
    hub: FloatArray,
) -> Mesh:
    """Return square cards with random turns; their normals point away from ``hub``.

    Args:
        centers: ``(N, 3)``.
        sizes: Edge lengths ``(N,)``.
        rng: Source of the turns.
        surface: What covers them.
        hub: ``(3,)`` middle of the crown, for soft shading.
    """
    count = len(centers)
    axis = rng.standard_normal((count, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    other = np.cross(axis, rng.standard_normal((count, 3)))
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    position = (
        centers[:, None]
        + corners[None, :, :1] * (axis * sizes[:, None])[:, None]
        + corners[None, :, 1:] * (other * sizes[:, None])[:, None]
    )
    outward = centers - hub + [0, 0, 0.3]
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)
    normal = np.repeat(outward[:, None], 4, 1)
    uv = np.broadcast_to(corners + 0.5, (count, 4, 2))
    vertices = vertices_from(
        position.reshape(-1, 3), normal.reshape(-1, 3), uv.reshape(-1, 2), surface
    )
    # Deeper cards get less light from the sky.
    reach = np.linalg.norm(centers - hub, axis=1)
    shade = 0.45 + 0.55 * reach / max(float(reach.max()), 1e-6)
    height = centers[:, 2] - centers[:, 2].min()
    shade *= 0.75 + 0.25 * height / max(float(height.max()), 1e-6)
    color = np.repeat((shade * 255)[:, None], 4, 0).astype(np.uint8)
    vertices["color"][:, :3] = color * np.asarray(surface.color, float) / 255
    first = np.arange(count, dtype=np.uint32) * 4
    triangles = np.concatenate(
        [np.stack([first, first + 1, first + 2], 1), np.stack([first, first + 2, first + 3], 1)]
    )
    return Mesh(vertices, triangles.astype(np.uint32))


def _trunk(rng: np.random.Generator, height: float, radius: float) -> list[Mesh]:
    bark = Surface(_VEGETATION, layer=textures.BARK)
    bend = rng.normal(0, 0.04, 2) * height
    path = np.array(
        [[0, 0, -0.3], [0, 0, 0.1], [bend[0] * 0.4, bend[1] * 0.4, height * 0.5], [*bend, height]]
    )
    return [tube(path, np.array([1.5, 1.15, 0.85, 0.6]) * radius, bark, sides=7)]


def leafy_tree(rng: np.random.Generator) -> Mesh:
    """Return a broad-leaved tree, 4 to 16 m high."""
    height = rng.uniform(4, 16)
    trunk = height * rng.uniform(0.16, 0.38)
    radius = height * rng.uniform(0.2, 0.42)
    parts = _trunk(rng, trunk + height * 0.25, 0.014 * height + 0.05)
    layer = int(rng.choice(textures.LEAVES))
    leaf = Surface(_VEGETATION, layer=layer, material=Material.FOLIAGE)
    # The leaf texture is leaf-coloured where it is clear, too: without cutting it fills the core.
    core = Surface(_VEGETATION, layer=layer, color=(150, 150, 150))
    crown = _Crown((height, trunk, radius), leaf, core, cored=0.7, lowest=0.18)
    parts += _lobes(rng, crown, int(rng.integers(8, 19)), int(rng.integers(14, 24)))
    return merge(parts)


def old_tree(rng: np.random.Generator) -> Mesh:
    """Return a broad-leaved tree that had room and time, 13 to 25 m high: wide, dense and dark."""
    height = rng.uniform(13, 25)
    trunk = height * rng.uniform(0.1, 0.24)
    radius = height * rng.uniform(0.28, 0.5)
    parts = _trunk(rng, trunk + height * 0.3, 0.018 * height + 0.1)
    layer = int(rng.choice(textures.LEAVES))
    shade = int(rng.uniform(75, 215))
    leaf = Surface(
        _VEGETATION, layer=layer, material=Material.FOLIAGE, color=(shade, shade, shade)
    )
    dark = int(shade * 0.5)
    core = Surface(_VEGETATION, layer=layer, color=(dark, dark, dark))
    crown = _Crown((height, trunk, radius), leaf, core, cored=0.95, lowest=0.05)
    parts += _lobes(rng, crown, int(rng.integers(20, 34)), int(rng.integers(16, 24)))
    return merge(parts)


@dataclass(frozen=True, slots=True)
class _Crown:
    """A broad-leaved crown.

    Attributes:
        size: Height of the tree, height of its trunk and radius of the crown in metres.
        leaf: What covers the cards.
        core: What fills lobes.
        cored: The share of lobes that one cannot see through.
        lowest: Share of the way from the trunk to the top at which lobes begin.
    """

    size: tuple[float, float, float]
    leaf: Surface
    core: Surface
    cored: float
    lowest: float


def _lobes(rng: np.random.Generator, crown: _Crown, count: int, per_lobe: int) -> list[Mesh]:
    """Return the lobes of a crown, each on its branch and with ``per_lobe`` cards of leaves."""
    height, trunk, radius = crown.size
    hub = np.array([0, 0, trunk + (height - trunk) * 0.5])
    # Branches are in the shade of their own leaves.
    bark = Surface(_VEGETATION, layer=textures.BARK, color=(130, 128, 125))
    parts = []
    for k in range(count):
        share = (k + 0.5) / count
        angle = k * 2.4 + rng.uniform(-0.5, 0.5)
        level = trunk + (height - trunk) * rng.uniform(crown.lowest, 0.85)
        spread = (
            radius
            * 0.78
            * np.sqrt(np.clip(1 - ((level - hub[2]) / (height - hub[2])) ** 2, 0.05, 1))
        )
        at = np.array(
            [
                np.cos(angle) * spread * np.sqrt(share),
                np.sin(angle) * spread * np.sqrt(share),
                level,
            ]
        )
        size = radius * rng.uniform(0.26, 0.46)
        if rng.random() < crown.cored:
            parts.append(
                ellipsoid(at, np.array([0.66, 0.66, 0.5]) * size, crown.core, sides=6, rings=4)
            )
        parts.append(
            tube(
                np.stack([[0, 0, trunk * 0.9], (at + [0, 0, trunk]) / 2, at]),
                0.006 * height,
                bark,
                sides=4,
            )
        )
        around = rng.standard_normal((per_lobe, 3))
        around /= np.linalg.norm(around, axis=1, keepdims=True)
        centers = at + around * size * rng.uniform(0.55, 1.0, (per_lobe, 1)) * [1, 1, 0.8]
        parts.append(cards(centers, size * rng.uniform(0.75, 1.4, per_lobe), rng, crown.leaf, hub))
    return parts


def conifer(rng: np.random.Generator) -> Mesh:
    """Return a conifer or a slim poplar, 5 to 18 m high."""
    height = rng.uniform(5, 18)
    radius = height * rng.uniform(0.1, 0.24)
    parts = _trunk(rng, height * 0.9, 0.012 * height + 0.04)
    leaf = Surface(
        _VEGETATION,
        layer=int(rng.choice(textures.LEAVES)),
        material=Material.FOLIAGE,
        color=(165, 185, 175),
    )
    core = Surface(_VEGETATION, layer=textures.HEDGE, color=(70, 84, 70))
    base = height * rng.uniform(0.04, 0.2)
    count = 210
    level = rng.uniform(0, 1, count) ** 0.8
    reach = radius * (1 - level) ** rng.uniform(0.5, 1.1) * rng.uniform(0.5, 1.0, count)
    angle = rng.uniform(0, 2 * np.pi, count)
    centers = np.stack(
        [reach * np.cos(angle), reach * np.sin(angle), base + level * (height - base)], -1
    )
    hub = np.array([0, 0, height * 0.35])
    sizes = radius * rng.uniform(0.6, 1.1, count) * (1.15 - 0.6 * level)
    parts.append(cards(centers, sizes, rng, leaf, hub))
    levels = np.array([base, base + 0.06 * height, height * 0.5, height * 0.97])
    path = np.stack([0 * levels, 0 * levels, levels], -1)
    parts.append(tube(path, np.array([0.12, 0.46, 0.27, 0.02]) * radius, core, sides=7))
    return merge(parts)


def bare_tree(rng: np.random.Generator) -> Mesh:
    """Return a leafless tree: branching tubes and veils of twigs."""
    height = rng.uniform(5, 15)
    bark = Surface(_VEGETATION, layer=textures.BARK, color=(190, 185, 180))
    veil = Surface(_VEGETATION, layer=int(rng.choice(textures.TWIGS)), material=Material.VEIL)
    trunk = height * rng.uniform(0.2, 0.34)
    parts = _trunk(rng, trunk * 1.1, 0.013 * height + 0.04)
    tips = [(np.array([0, 0, trunk]), np.array([0, 0, 1.0]), height * 0.26, 0.010 * height + 0.02)]
    for _ in range(3):
        grown = []
        for start, direction, length, thick in tips:
            for _ in range(3):
                turned = direction + rng.normal(0, 0.48, 3)
                turned[2] = abs(turned[2]) + 0.1
                turned /= np.linalg.norm(turned)
                end = start + turned * length
                path = np.stack([start, (start + end) / 2 + rng.normal(0, 0.04, 3) * length, end])
                parts.append(
                    tube(path, np.array([thick, thick * 0.8, thick * 0.55]), bark, sides=4)
                )
                grown.append((end, turned, length * 0.72, thick * 0.55))
        tips = grown
    width, tall = height * rng.uniform(0.5, 0.8), height - trunk * 0.6
    for angle in rng.uniform(0, np.pi) + np.array([0, np.pi / 3, 2 * np.pi / 3]):
        across = np.array([np.cos(angle), np.sin(angle), 0]) * width
        corner = np.array([0, 0, trunk * 0.55]) - across / 2
        up = np.array([0, 0, tall])
        points = np.stack([corner, corner + across, corner + across + up, corner + up])
        uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
        normal = np.broadcast_to(np.array([0, 0, 1.0]), (4, 3))
        parts.append(
            Mesh(
                vertices_from(points, normal, uv, veil),
                np.array([[0, 1, 2], [0, 2, 3]], np.uint32),
            )
        )
    return merge(parts)


def shrub(rng: np.random.Generator) -> Mesh:
    """Return a shrub, 0.6 to 2.5 m high."""
    size = np.array([rng.uniform(0.5, 1.5), rng.uniform(0.5, 1.5), rng.uniform(0.3, 1.2)])
    leaf = Surface(_VEGETATION, layer=int(rng.choice(textures.LEAVES)), material=Material.FOLIAGE)
    core = Surface(_VEGETATION, layer=textures.HEDGE, color=(120, 125, 110))
    around = rng.standard_normal((45, 3))
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    around[:, 2] = np.abs(around[:, 2])
    centers = around * size + [0, 0, size[2] * 0.4]
    return merge(
        [
            ellipsoid((0, 0, size[2] * 0.4), size * 0.9, core, sides=8, rings=5),
            cards(centers, rng.uniform(0.3, 0.6, 45) * size.max(), rng, leaf, np.zeros(3)),
        ]
    )


def hedge(rng: np.random.Generator, length: float) -> Mesh:
    """Return a clipped hedge along x that starts at the origin."""
    height, width = rng.uniform(0.7, 2.2), rng.uniform(0.5, 1.0)
    surface = Surface(_VEGETATION, layer=textures.HEDGE)
    leaf = Surface(_VEGETATION, layer=int(rng.choice(textures.LEAVES)), material=Material.FOLIAGE)
    count = max(int(length * 7), 1)
    centers = np.stack(
        [
            rng.uniform(0, length, count),
            rng.choice([-0.5, 0.5], count) * width * rng.uniform(0.8, 1.0, count),
            rng.uniform(0.1, 1.0, count) * height,
        ],
        -1,
    )
    body = box((length, width, height), surface, center=(length / 2, 0, 0), tile=1.6)
    fringe = cards(
        centers, rng.uniform(0.25, 0.5, count), rng, leaf, np.array([length / 2, 0, -3.0])
    )
    return merge([body, fringe])
