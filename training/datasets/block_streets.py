# SPDX-License-Identifier: Apache-2.0
"""Crude generated streets: boxes on a plane, ray-cast with numpy.

They need no renderer and no file, and have exact labels and depth: enough for tests, for a smoke
run, and to teach depth how ground and known sizes give it away. ``training.streets`` makes
streets worth training on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depthlab_core.labels import CITYSCAPES
from training.datasets.sample import Sample

Vector = npt.NDArray[np.float64]

ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE, LIGHT, SIGN, TREE, TERRAIN, SKY = range(11)
PERSON, RIDER, CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE = range(11, 19)

_SIZES = {
    PERSON: (0.5, 1.7, 0.4),
    CAR: (1.8, 1.5, 4.3),
    TRUCK: (2.4, 3.2, 8.0),
    BUS: (2.5, 3.1, 11.0),
    BICYCLE: (0.4, 1.1, 1.7),
    POLE: (0.15, 5.0, 0.15),
    SIGN: (0.7, 0.7, 0.1),
}
"""Width, height, length in metres."""

_FARTHEST = 100.0


@dataclass(frozen=True)
class Box:
    """An upright box.

    Attributes:
        center: x right, y up, z forward from the point below the camera, metres.
        half_size: Half of width, height and length, metres.
        yaw: Turn about the vertical axis, radians.
        category_id: Its class; ``instance_id``: its number within the class, 0 for stuff.
        color: RGB, 0 to 255.
    """

    center: Vector
    half_size: Vector
    yaw: float
    category_id: int
    instance_id: int
    color: Vector


class BlockStreets:
    """Crude streets, each made from its index when asked for.

    Args:
        count: Number of frames.
        size: Height and width in pixels.
        seed: Another seed gives other streets.
    """

    def __init__(self, count: int, size: tuple[int, int] = (256, 512), seed: int = 0) -> None:
        self._count = count
        self._size = size
        self._seed = seed

    def __len__(self) -> int:
        """Return the number of frames."""
        return self._count

    def __getitem__(self, index: int) -> Sample:
        """Make frame ``index``."""
        if not 0 <= index < self._count:
            raise IndexError(f"frame: got {index}, expected 0 to {self._count - 1}")
        rng = np.random.default_rng((self._seed, index))
        half_width_road = float(rng.uniform(3, 8))
        boxes = _furnish(rng, half_width_road)
        height, width = self._size
        focal_length = width / (2 * math.tan(math.radians(rng.uniform(40, 100)) / 2))
        return _render(
            boxes, half_width_road, (height, width), focal_length, rng, f"block_{index}"
        )


def _furnish(rng: np.random.Generator, half_width_road: float) -> list[Box]:
    """Place boxes along a street."""
    boxes: list[Box] = []
    counts: dict[int, int] = {}

    def place(category_id: int, x: float, z: float, yaw: float, bottom: float = 0.0) -> None:
        size = np.array(_SIZES[category_id]) * rng.uniform(0.85, 1.15, 3)
        add(category_id, x, z, yaw, size, bottom)

    def add(
        category_id: int, x: float, z: float, yaw: float, size: Vector, bottom: float = 0.0
    ) -> None:
        is_thing = category_id in CITYSCAPES.thing_ids
        counts[category_id] = counts.get(category_id, 0) + 1
        center = np.array([x, bottom + size[1] / 2, z])
        instance_id = counts[category_id] if is_thing else 0
        color = _color(category_id, rng)
        if category_id in (CAR, PERSON):
            # Cabin or head: a second, smaller box tells front from wall.
            body, top = size * (1, 0.55, 1), size * (0.85, 0.45, 0.55)
            lower = np.array([x, bottom + body[1] / 2, z])
            upper = np.array([x, bottom + body[1] + top[1] / 2, z])
            boxes.append(Box(lower, body / 2, yaw, category_id, instance_id, color))
            dark = color * rng.uniform(0.2, 1.2)
            boxes.append(Box(upper, top / 2, yaw, category_id, instance_id, dark))
            return
        boxes.append(Box(center, size / 2, yaw, category_id, instance_id, color))

    pavement = half_width_road + float(rng.uniform(1.5, 5))
    for side in (-1, 1):
        z = float(rng.uniform(-5, 10))
        while z < _FARTHEST:
            length = float(rng.uniform(6, 25))
            x = side * (pavement + float(rng.uniform(0.5, 6)))
            kind = rng.choice([BUILDING, BUILDING, BUILDING, TREE, WALL, FENCE])
            height = {BUILDING: rng.uniform(4, 25), TREE: rng.uniform(3, 9)}.get(
                int(kind), rng.uniform(0.8, 2.5)
            )
            depth = 8.0 if kind == BUILDING else (3.0 if kind == TREE else 0.3)
            size = np.array([depth, float(height), length])
            add(int(kind), x + side * depth / 2, z + length / 2, 0.0, size)
            z += length + float(rng.uniform(0, 8))
        for _ in range(int(rng.integers(0, 7))):
            x = side * float(rng.uniform(half_width_road, pavement))
            place(PERSON, x, _distance(rng), float(rng.uniform(0, math.pi)))
        for _ in range(int(rng.integers(1, 6))):
            x, z = side * (half_width_road + 0.4), _distance(rng)
            place(POLE, x, z, 0.0)
            if rng.random() < 0.5:
                place(SIGN, x, z - 0.1, float(rng.uniform(-0.4, 0.4)), float(rng.uniform(2, 3)))
        for _ in range(int(rng.integers(0, 6))):
            kind = int(rng.choice([CAR, CAR, CAR, CAR, TRUCK, BUS, BICYCLE]))
            lane = rng.choice([half_width_road - 1.2, half_width_road / 2.5])
            place(kind, side * float(lane), _distance(rng), float(rng.normal(0, 0.08)))
    return boxes


def _distance(rng: np.random.Generator) -> float:
    """Draw a distance: near things are rarer in the world, but matter more in the image."""
    return float(np.exp(rng.uniform(math.log(6), math.log(80))))


def _color(category_id: int, rng: np.random.Generator) -> Vector:
    usual = np.array(
        {TREE: (60, 90, 40), BUILDING: (140, 125, 110), POLE: (110, 110, 110)}.get(
            category_id, (128, 128, 128)
        ),
        dtype=np.float64,
    )
    spread = 35 if category_id in (TREE, BUILDING, POLE) else 110
    return np.clip(usual + rng.normal(0, 10) + rng.uniform(-spread, spread, 3), 5, 250)


def _render(
    boxes: list[Box],
    half_width_road: float,
    size: tuple[int, int],
    focal_length: float,
    rng: np.random.Generator,
    name: str,
) -> Sample:
    height, width = size
    eye = float(rng.uniform(1.1, 2.0))
    rotation = _rotation(
        pitch=math.radians(rng.uniform(-8, 6)), yaw=math.radians(rng.uniform(-12, 12))
    )
    origin = np.array([0.0, eye, 0.0])
    v, u = np.mgrid[0:height, 0:width]
    right, up = (u + 0.5 - width / 2) / focal_length, (height / 2 - v - 0.5) / focal_length
    camera_rays = np.stack([right, up, np.ones(size)], axis=-1)
    rays = camera_rays @ rotation.T
    texture = rng.normal(0, 1, (64, 64))

    # The third component of a camera ray is 1: the ray's parameter is the depth itself.
    sky = _color(SKY, rng) * 0.4 + np.array([120, 140, 160])
    image = np.broadcast_to(sky, (height, width, 3)).copy()
    panoptic = np.full(size, SKY * CITYSCAPES.label_divisor, dtype=np.int32)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(rays[..., 1] < -1e-6, -eye / rays[..., 1], np.inf)
        hit = depth < 4 * _FARTHEST
        x, z = rays[..., 0] * depth, rays[..., 2] * depth
    depth[~hit] = np.inf
    lateral = np.abs(np.where(hit, x, 0))
    ground = np.where(lateral < half_width_road, ROAD, SIDEWALK)
    ground[lateral > half_width_road + 6] = TERRAIN
    for category_id in (ROAD, SIDEWALK, TERRAIN):
        mask = hit & (ground == category_id)
        panoptic[mask] = category_id * CITYSCAPES.label_divisor
        gray = rng.uniform(50, 150) * np.ones(3)
        base = _color(TREE, rng) if category_id == TERRAIN else gray + rng.uniform(-12, 12, 3)
        image[mask] = base + 14 * _noise(texture, x[mask], z[mask])[:, None]
    lines = hit & (np.abs(lateral - 0.1) < 0.08) & (np.mod(np.where(hit, z, 0), 6) < 3)
    image[lines & (ground == ROAD)] = 215

    for box in boxes:
        _draw_box(box, origin, rotation, rays, focal_length, image, panoptic, depth, texture)
    # Haze: the farther, the paler.
    visibility = float(np.exp(rng.uniform(math.log(60), math.log(2000))))
    haze = 1 - np.exp(-np.minimum(depth, 1000) / visibility)
    image = image * (1 - haze[..., None]) + sky * haze[..., None]
    image = image * rng.uniform(0.6, 1.2) + rng.normal(0, rng.uniform(1, 6), image.shape)
    return Sample(
        image=np.clip(image, 0, 255).astype(np.uint8),
        semantic=None,
        panoptic=panoptic,
        depth=np.where(np.isfinite(depth), depth, 0).astype(np.float32),
        focal_length=focal_length,
        name=name,
    )


def _draw_box(
    box: Box,
    origin: Vector,
    rotation: Vector,
    rays: Vector,
    focal_length: float,
    image: Vector,
    panoptic: npt.NDArray[np.int32],
    depth: Vector,
    texture: Vector,
) -> None:
    """Draw ``box`` into the buffers, in place, where it is nearer than what is there."""
    turn = _rotation(pitch=0.0, yaw=box.yaw)
    signs = np.array([(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    corners = ((signs * box.half_size) @ turn.T + box.center - origin) @ rotation
    if corners[:, 2].max() < 0.5:
        return
    height, width = depth.shape
    rows, columns = slice(0, height), slice(0, width)
    if corners[:, 2].min() > 0.5:
        us = corners[:, 0] / corners[:, 2] * focal_length + width / 2
        vs = -corners[:, 1] / corners[:, 2] * focal_length + height / 2
        rows = slice(max(0, int(vs.min())), max(0, min(height, int(vs.max()) + 2)))
        columns = slice(max(0, int(us.min())), max(0, min(width, int(us.max()) + 2)))
    local_rays = rays[rows, columns] @ turn
    local_origin = (origin - box.center) @ turn
    with np.errstate(divide="ignore", invalid="ignore"):
        first = (-box.half_size - local_origin) / local_rays
        second = (box.half_size - local_origin) / local_rays
    enter = np.minimum(first, second)
    near, far = enter.max(axis=-1), np.maximum(first, second).min(axis=-1)
    hit = (near < far) & (near > 0.5) & (near < depth[rows, columns])
    if not hit.any():
        return
    distance = near[hit]
    points = local_origin + local_rays[hit] * distance[:, None]
    face = enter[hit].argmax(axis=-1)
    shade = np.array([0.75, 1.1, 0.95])[face]
    along = np.where(face == 0, points[:, 2], points[:, 0])
    grain = _noise(texture, along, points[:, 1])
    if box.category_id == BUILDING:
        is_window = (np.mod(along, 2.6) > 1.3) & (np.mod(points[:, 1], 3.0) > 1.4)
        shade = shade * np.where(is_window & (face != 1), 0.45, 1.0)
    strength = 30 if box.category_id == TREE else 8
    image[rows, columns][hit] = box.color * shade[:, None] + strength * grain[:, None]
    value = box.category_id * CITYSCAPES.label_divisor + box.instance_id
    panoptic[rows, columns][hit] = value
    depth[rows, columns][hit] = distance


def _noise(texture: Vector, a: Vector, b: Vector) -> Vector:
    """Sample a repeating noise texture at two scales; coordinates in metres."""
    size = texture.shape[0]
    total = np.zeros(a.shape)
    for scale, strength in ((1.5, 1.0), (7.0, 0.7)):
        rows = np.floor(a * scale).astype(np.int64) % size
        columns = np.floor(b * scale).astype(np.int64) % size
        total += strength * texture[rows, columns]
    return total


def _rotation(*, pitch: float, yaw: float) -> Vector:
    """Rotation matrix: first about x (positive looks up), then about the vertical axis."""
    cp, sp, cy, sy = math.cos(pitch), math.sin(pitch), math.cos(yaw), math.sin(yaw)
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    return np.asarray(about_y @ about_x, dtype=np.float64)
