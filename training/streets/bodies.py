# SPDX-License-Identifier: Apache-2.0
"""Bodies: tubes and ellipsoids on a small skeleton, walking, standing, sitting or riding.

x is forward, the origin is on the ground under the pelvis (for riders: under the saddle).
Slots: 0 skin, 1 upper clothing, 2 lower clothing, 3 hair.
"""

from typing import Literal

import numpy as np

from training.streets.classes import SemanticClass
from training.streets.mesh import FloatArray, Mesh, Surface, merge
from training.streets.people import Person
from training.streets.shapes import box, ellipsoid, tube

Stance = Literal["walk", "stand", "sit", "cycle", "motor"]


def body(
    person: Person, stance: Stance, phase: float = 0.0, rng: np.random.Generator | None = None
) -> Mesh:
    """Return a posed body.

    Args:
        person: Whose.
        stance: What they do; "cycle" and "motor" are riders.
        phase: Place in the walking or pedalling cycle, radians.
        rng: For the arms of somebody who stands.
    """
    rider = stance in ("cycle", "motor")
    semantic = SemanticClass.RIDER if rider else SemanticClass.PERSON
    rng = rng or np.random.default_rng(0)
    h, girth = person.height, person.build * person.height / 1.72
    skin = Surface(semantic, slot=0)
    top = Surface(semantic, layer=person.cloth, slot=1)
    lower = Surface(semantic, slot=2)
    hair = Surface(semantic, slot=3)
    hip, lean = _pelvis(person, stance, phase)
    spine = np.array([np.sin(lean), 0.0, np.cos(lean)])
    shoulder = hip + spine * 0.30 * h
    parts = [
        tube(
            np.stack([hip - spine * (0.02 + person.coat) * h * 0.6, hip, hip + spine * 0.12 * h,
                      hip + spine * 0.24 * h, shoulder, shoulder + spine * 0.03 * h]),
            np.array([0.125 + 0.05 * person.coat, 0.12, 0.112, 0.13, 0.105, 0.05]) * girth * 1.25,
            top,
            sides=8,
            squash=0.68,
        )
    ]  # fmt: skip
    neck = shoulder + spine * 0.06 * h
    head = neck + np.array([0.02 + 0.3 * np.sin(lean) * 0.2, 0, 0.095]) * h
    parts.append(tube(np.stack([shoulder, neck + [0, 0, 0.03 * h]]), 0.034 * h, skin, sides=6))
    parts += _head(person, head, skin, hair, semantic, helmet=rider)
    parts += _legs(person, stance, phase, hip, lower, skin, semantic, girth)
    parts += _arms(person, stance, phase, shoulder, lean, top, skin, rng, girth)
    parts += _bag(person, hip, shoulder, spine, semantic, rng)
    return merge(parts)


def _pelvis(person: Person, stance: Stance, phase: float) -> tuple[FloatArray, float]:
    h = person.height
    if stance == "sit":
        return np.array([-0.05, 0, 0.30 * h]), 0.05
    if stance == "cycle":
        return np.array([0.0, 0, 0.98]), 0.55
    if stance == "motor":
        return np.array([-0.1, 0, 0.82]), 0.3
    bob = 0.015 * h * np.cos(2 * phase) if stance == "walk" else 0.0
    return np.array([0, 0, 0.505 * h + bob - 0.02]), 0.06 if stance == "walk" else 0.01


def _head(
    person: Person,
    center: FloatArray,
    skin: Surface,
    hair: Surface,
    semantic: SemanticClass,
    *,
    helmet: bool,
) -> list[Mesh]:
    h = person.height
    size = np.array([0.062, 0.052, 0.073]) * (h if h > 1.5 else h * 1.2)
    parts = [ellipsoid(center, size, skin)]
    crown = center + np.array([-0.012, 0, 0.018]) * h
    cover = hair
    if helmet:
        cover = Surface(semantic, slot=3, color=(255, 255, 255))
        return [*parts, ellipsoid(crown, size * [1.18, 1.2, 1.02], cover)]
    parts.append(ellipsoid(crown, size * [1.02, 1.06, 0.96], cover))
    if person.hat == "cap":
        tone = Surface(semantic, slot=2)
        parts.append(ellipsoid(crown + [0, 0, 0.012 * h], size * [1.1, 1.12, 0.85], tone))
        parts.append(ellipsoid(center + [0.07 * h, 0, 0.03 * h], size * [0.8, 0.8, 0.12], tone))
    elif person.hat == "hood":
        tone = Surface(semantic, slot=1)
        parts.append(ellipsoid(center + [-0.02 * h, 0, 0], size * [1.15, 1.25, 1.2], tone))
    elif person.hat == "long":
        parts.append(ellipsoid(center + [-0.03 * h, 0, -0.05 * h], size * [0.75, 1.0, 1.35], hair))
    return parts


def _limb(
    start: FloatArray, joint: FloatArray, end: FloatArray, radii: FloatArray, s: Surface
) -> Mesh:
    path = np.stack([start, (start + joint) / 2, joint, (joint + end) / 2, end])
    return tube(path, radii, s, sides=6)


def _legs(
    person: Person,
    stance: Stance,
    phase: float,
    hip: FloatArray,
    cloth: Surface,
    skin: Surface,
    semantic: SemanticClass,
    girth: float,
) -> list[Mesh]:
    h = person.height
    thigh, shin = 0.245 * h, 0.235 * h
    shoe = Surface(semantic, color=person.shoes)
    parts = []
    for side, turn in ((1, phase), (-1, phase + np.pi)):
        start = hip + np.array([0, side * 0.05 * h * person.build, 0])
        if stance == "walk":
            swing = person.stride * np.sin(turn)
            bend = 0.12 + 0.75 * max(0.0, np.cos(turn)) * person.stride * 1.6
        elif stance == "stand":
            swing, bend = 0.04 * side, 0.05
        elif stance == "sit":
            swing, bend = 1.45, 1.45
        elif stance == "motor":
            swing, bend = 1.0, 1.35
        else:
            swing = 0.85 + 0.35 * np.sin(turn)
            bend = 1.15 + 0.45 * np.sin(turn)
        splay = side * (0.22 if stance == "motor" else 0.03)
        knee = start + thigh * np.array([np.sin(swing), splay, -np.cos(swing)])
        ankle = knee + shin * np.array([np.sin(swing - bend), 0, -np.cos(swing - bend)])
        radii = np.array([0.078, 0.068, 0.05, 0.048, 0.036]) * girth * 1.15
        parts.append(_limb(start, knee, ankle, radii, skin if person.skirt else cloth))
        toe = ankle + np.array([0.055 * h, 0, -0.022 * h])
        parts.append(ellipsoid(toe, np.array([0.078, 0.03, 0.028]) * h, shoe, sides=6, rings=4))
    if person.skirt and stance in ("walk", "stand"):
        path = np.stack([hip, hip - [0, 0, 0.12 * h], hip - [0, 0, 0.27 * h]])
        parts.append(tube(path, np.array([0.1, 0.13, 0.17]) * girth, cloth, sides=8, caps=False))
    return parts


def _arms(
    person: Person,
    stance: Stance,
    phase: float,
    shoulder: FloatArray,
    lean: float,
    cloth: Surface,
    skin: Surface,
    rng: np.random.Generator,
    girth: float,
) -> list[Mesh]:
    h = person.height
    upper, fore = 0.165 * h, 0.15 * h
    parts = []
    for side, turn in ((1, phase + np.pi), (-1, phase)):
        start = shoulder + np.array([0, side * 0.112 * girth * 1.72, -0.012 * h])
        if stance == "walk":
            swing, bend = person.stride * 0.8 * np.sin(turn), 0.35
        elif stance in ("cycle", "motor"):
            swing, bend = 0.75 + lean * 0.4, 0.25 if stance == "cycle" else 0.6
        elif stance == "sit":
            swing, bend = 0.4, 0.9
        else:
            swing, bend = rng.uniform(-0.1, 0.3), rng.choice([0.15, 0.4, 1.6, 2.2])
        elbow = start + upper * np.array([np.sin(swing), side * 0.14, -np.cos(swing)])
        hand = elbow + fore * np.array([np.sin(swing + bend), 0, -np.cos(swing + bend)])
        radii = np.array([0.05, 0.044, 0.038, 0.034, 0.028]) * girth * 1.15
        parts.append(_limb(start, elbow, hand, radii, cloth))
        grip = hand + np.array([np.sin(swing + bend), 0, -np.cos(swing + bend)]) * 0.03 * h
        parts.append(ellipsoid(grip, np.full(3, 0.028 * h), skin, sides=5, rings=4))
    return parts


def _bag(
    person: Person,
    hip: FloatArray,
    shoulder: FloatArray,
    spine: FloatArray,
    semantic: SemanticClass,
    rng: np.random.Generator,
) -> list[Mesh]:
    h = person.height
    tone = int(rng.integers(20, 200))
    bag = Surface(semantic, color=(tone, int(tone * 0.9), int(tone * 0.85)))
    if person.bag == "back":
        at = shoulder - spine * 0.24 * h + np.array([-0.1 * h, 0, 0])
        return [ellipsoid(at + spine * 0.12 * h, np.array([0.06, 0.09, 0.13]) * h, bag)]
    if person.bag == "hand":
        return [box((0.28, 0.1, 0.32), bag, center=(0.02, 0.22 * h / 1.72 + 0.04, hip[2] - 0.42))]
    if person.bag == "shoulder":
        return [box((0.26, 0.09, 0.2), bag, center=(-0.02, -0.17 * h, hip[2] - 0.06))]
    return []
