# SPDX-License-Identifier: Apache-2.0
"""Street furniture: lamps, traffic lights, signs, bollards; benches and bins are ignored clutter.

All stand on the origin, x points towards the middle of the road.
"""

import numpy as np

from training.streets import textures
from training.streets.classes import SemanticClass
from training.streets.mesh import Color, Material, Mesh, Surface, merge
from training.streets.shapes import box, card, ellipsoid, tube

_POLE, _CLUTTER = SemanticClass.POLE, SemanticClass.IGNORE


def _metal(rng: np.random.Generator) -> Color:
    value = int(rng.choice([35, 60, 95, 130, 165]))
    if rng.random() < 0.15:
        return (25, 60, 45)
    return (value, value, value)


def _post(height: float, radius: float, color: Color, *, sides: int = 7) -> Mesh:
    path = np.array([[0, 0, -0.2], [0, 0, height * 0.5], [0, 0, height]])
    surface = Surface(_POLE, color=color)
    return tube(path, np.array([radius, radius * 0.85, radius * 0.7]), surface, sides=sides)


def street_lamp(rng: np.random.Generator) -> Mesh:
    """Return a street lamp with an arm, or a low one with a lantern."""
    color = _metal(rng)
    bulb = Surface(_POLE, material=Material.EMISSIVE, color=(255, 236, 200))
    if rng.random() < 0.25:
        height = rng.uniform(3.2, 4.6)
        lantern = box((0.3, 0.3, 0.45), bulb, center=(0, 0, height))
        return merge([_post(height, 0.07, color), lantern])
    height, reach = rng.uniform(5.5, 10.5), rng.uniform(0.6, 2.6)
    surface = Surface(_POLE, color=color)
    arm = np.array([[0, 0, height * 0.93], [reach * 0.3, 0, height], [reach, 0, height + 0.15]])
    parts = [
        _post(height * 0.95, rng.uniform(0.07, 0.12), color),
        tube(arm, 0.045, surface, sides=5),
    ]
    parts.append(box((0.7, 0.26, 0.12), surface, center=(reach, 0, height + 0.1)))
    parts.append(box((0.55, 0.2, 0.03), bulb, center=(reach, 0, height + 0.07)))
    return merge(parts)


def utility_pole(rng: np.random.Generator) -> Mesh:
    """Return a wooden pole with a crossbar and insulators."""
    height = rng.uniform(7, 11)
    wood = Surface(_POLE, layer=textures.BARK, color=(235, 215, 190))
    parts = [tube(np.array([[0, 0, -0.2], [0, 0, height]]), np.array([0.16, 0.11]), wood, sides=7)]
    for level in (height - 0.4, height - 1.1)[: int(rng.integers(1, 3))]:
        parts.append(box((0.12, 2.0, 0.12), wood, center=(0, 0, level)))
    if rng.random() < 0.4:
        grey = Surface(_POLE, color=(120, 122, 122))
        barrel = np.array([[0.3, 0, height - 2.2], [0.3, 0, height - 1.3]])
        parts.append(tube(barrel, 0.24, grey, sides=8))
    return merge(parts)


def _signal_head(rng: np.random.Generator, z: float, lit: int) -> Mesh:
    """Return three lights over each other; x is where they shine."""
    light = SemanticClass.TRAFFIC_LIGHT
    shell = Surface(light, color=(28, 28, 28) if rng.random() < 0.75 else (190, 160, 30))
    parts = [box((0.24, 0.32, 0.95), shell, center=(0, 0, z))]
    if rng.random() < 0.5:
        board = Surface(light, color=(18, 18, 18))
        parts.append(box((0.02, 0.55, 1.2), board, center=(-0.02, 0, z - 0.12)))
    colors: tuple[Color, ...] = ((40, 255, 120), (255, 190, 30), (255, 40, 30))
    for index, color in enumerate(colors):
        on = index == lit
        dim: Color = (color[0] // 5, color[1] // 5, color[2] // 5)
        glow = Surface(
            light, material=Material.EMISSIVE if on else Material.MATTE, color=color if on else dim
        )
        bulb = ellipsoid(
            (0.12, 0, z + 0.18 + 0.3 * index), (0.04, 0.105, 0.105), glow, sides=8, rings=4
        )
        visor = box((0.18, 0.24, 0.02), shell, center=(0.2, 0, z + 0.29 + 0.3 * index))
        parts += [bulb, visor]
    return merge(parts)


def traffic_light(rng: np.random.Generator) -> Mesh:
    """Return a signal post that faces −y (drivers coming along +y), sometimes with an arm."""
    color, lit = _metal(rng), int(rng.integers(0, 3))
    turn = np.array([[0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], float)
    height = rng.uniform(2.9, 3.6)
    parts = [_post(height, 0.06, color)]
    head = _signal_head(rng, height - 0.95, lit).transformed(turn)
    shift = np.eye(4)
    shift[1, 3] = -0.16
    parts.append(head.transformed(shift))
    if rng.random() < 0.4:
        reach = rng.uniform(3.0, 7.0)
        surface = Surface(_POLE, color=color)
        top = rng.uniform(5.2, 6.4)
        parts.append(_post(top, 0.1, color))
        parts.append(tube(np.array([[0, 0, top - 0.1], [reach, 0, top]]), 0.06, surface, sides=5))
        for x in (reach - 0.3, reach * 0.5)[: int(rng.integers(1, 3))]:
            shift = np.eye(4)
            shift[:3, 3] = x, -0.1, 0
            parts.append(_signal_head(rng, top - 0.95, lit).transformed(turn).transformed(shift))
    return merge(parts)


def traffic_sign(rng: np.random.Generator) -> Mesh:
    """Return one or two signs on a post, facing −y."""
    height, size = rng.uniform(2.0, 3.0), rng.uniform(0.5, 0.95)
    parts = [_post(height + size, rng.uniform(0.025, 0.045), _metal(rng), sides=5)]
    back = (120, 122, 124)
    level = height
    for _ in range(int(rng.integers(1, 3))):
        layer = int(rng.choice(textures.SIGNS))
        # FOLIAGE cuts the sign's shape out of its square; it also is lit from both sides.
        face = Surface(SemanticClass.TRAFFIC_SIGN, layer=layer, material=Material.FOLIAGE)
        rear = Surface(
            SemanticClass.TRAFFIC_SIGN, layer=layer, material=Material.FOLIAGE, color=back
        )
        parts.append(card((-size / 2, -0.06, level), (size, 0, 0), (0, 0, size), face))
        parts.append(card((-size / 2, -0.04, level), (size, 0, 0), (0, 0, size), rear))
        level -= size * 1.05
        size *= rng.uniform(0.7, 1.0)
    return merge(parts)


def gantry_sign(rng: np.random.Generator) -> Mesh:
    """Return a large direction board on two posts, facing −y."""
    width, tall, low = rng.uniform(1.6, 4.0), rng.uniform(1.0, 2.2), rng.uniform(1.2, 2.6)
    layer = int(rng.choice(textures.SIGNS))
    cut = Material.FOLIAGE
    face = Surface(SemanticClass.TRAFFIC_SIGN, layer=layer, material=cut)
    rear = Surface(SemanticClass.TRAFFIC_SIGN, layer=layer, material=cut, color=(120, 122, 124))
    parts = [card((-width / 2, -0.07, low), (width, 0, 0), (0, 0, tall), face)]
    parts.append(card((-width / 2, -0.05, low), (width, 0, 0), (0, 0, tall), rear))
    for side in (-0.35, 0.35):
        post = _post(low + tall, 0.05, (130, 132, 134), sides=5)
        parts.append(
            post.transformed(np.array([[1, 0, 0, side * width], [0, 1, 0, 0], [0, 0, 1, 0]]))
        )
    return merge(parts)


def bollard(rng: np.random.Generator) -> Mesh:
    """Return a bollard."""
    color = _metal(rng) if rng.random() < 0.8 else (220, 215, 200)
    height = rng.uniform(0.7, 1.15)
    parts = [_post(height, rng.uniform(0.05, 0.11), color)]
    if rng.random() < 0.3:
        band = Surface(_POLE, color=(230, 225, 215))
        parts.append(
            tube(np.array([[0, 0, height * 0.75], [0, 0, height * 0.87]]), 0.1, band, caps=False)
        )
    return merge(parts)


def clutter(rng: np.random.Generator) -> Mesh:
    """Return a bin, a bench, a cabinet, a post box or a cone; all are ignored."""
    kind = int(rng.integers(5))
    tone = tuple(int(v) for v in rng.integers(25, 200, 3))
    surface = Surface(_CLUTTER, color=(tone[0], tone[1], tone[2]))
    if kind == 0:
        return tube(
            np.array([[0, 0, 0], [0, 0, rng.uniform(0.8, 1.2)]]),
            rng.uniform(0.22, 0.35),
            surface,
            sides=9,
        )
    if kind == 1:
        wood = Surface(_CLUTTER, layer=textures.PLANKS, color=(150, 105, 65))
        legs = [box((0.4, 0.08, 0.42), surface, center=(0, y, 0)) for y in (-0.7, 0.7)]
        back = box((0.06, 1.6, 0.45), wood, center=(-0.22, 0, 0.5))
        return merge([*legs, box((0.45, 1.7, 0.06), wood, center=(0, 0, 0.42)), back])
    if kind == 2:
        return box((0.35, rng.uniform(0.5, 1.2), rng.uniform(0.8, 1.5)), surface)
    if kind == 3:
        post = tube(
            np.array([[0, 0, 0], [0, 0, 1.4]]),
            0.24,
            Surface(_CLUTTER, color=(165, 20, 25)),
            sides=10,
        )
        return post
    cone = Surface(_CLUTTER, color=(225, 90, 30))
    path = np.array([[0, 0, 0], [0, 0, 0.04], [0, 0, 0.7]])
    return merge(
        [tube(path, np.array([0.2, 0.14, 0.03]), cone, sides=8), box((0.38, 0.38, 0.03), cone)]
    )


def bus_shelter(rng: np.random.Generator) -> Mesh:
    """Return a glass shelter; Cityscapes has no class for it, so it is ignored."""
    glass = Surface(_CLUTTER, material=Material.GLASS, color=(120, 130, 132))
    metal = Surface(_CLUTTER, color=_metal(rng))
    length = rng.uniform(3, 5)
    parts = [box((1.5, length, 0.12), metal, center=(0, 0, 2.4))]
    parts.append(box((0.04, length, 2.2), glass, center=(-0.7, 0, 0.15)))
    poster = Surface(_CLUTTER, layer=textures.POSTERS[int(rng.integers(2))])
    parts.append(box((1.2, 0.12, 1.9), poster, center=(0, length / 2, 0.3), tile=1.2))
    for y in (-length / 2, length / 2):
        parts.append(box((0.08, 0.08, 2.4), metal, center=(0.6, y, 0)))
    return merge(parts)
