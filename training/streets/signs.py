# SPDX-License-Identifier: Apache-2.0
"""Flat printed and see-through things: traffic signs, posters, fences, wheel spokes."""

import cv2
import numpy as np
import numpy.typing as npt

from training.streets.noise import noise

SIZE = 256
Texture = npt.NDArray[np.float32]
RED, BLUE, YELLOW, GREEN = (
    (0.75, 0.06, 0.08),
    (0.05, 0.2, 0.62),
    (0.95, 0.72, 0.08),
    (0.0, 0.4, 0.2),
)
WHITE, BLACK = (0.95, 0.95, 0.95), (0.05, 0.05, 0.05)
_SHAPES = ("disc", "ring", "triangle", "square", "diamond", "octagon", "board", "board")


def _polygon(corners: int, radius: float, turn: float) -> npt.NDArray[np.int32]:
    angle = np.arange(corners) * 2 * np.pi / corners + turn
    points = np.stack([np.cos(angle), np.sin(angle)], -1) * radius * SIZE + SIZE / 2
    return points.astype(np.int32)


def _shape(canvas: Texture, shape: str, radius: float, color: tuple[float, ...]) -> None:
    rgba = (*color, 1.0)
    if shape in ("disc", "ring"):
        cv2.circle(canvas, (SIZE // 2, SIZE // 2), int(radius * SIZE), rgba, -1)
        return
    turns = {
        "triangle": (3, np.pi / 2),
        "diamond": (4, 0.0),
        "octagon": (8, np.pi / 8),
    }
    if shape in turns:
        corners, turn = turns[shape]
        cv2.fillConvexPoly(canvas, _polygon(corners, radius, turn), rgba)
    else:
        half = int(radius * SIZE)
        middle = SIZE // 2
        cv2.rectangle(
            canvas, (middle - half, middle - half), (middle + half, middle + half), rgba, -1
        )


def _glyphs(
    canvas: Texture, rng: np.random.Generator, reach: float, ink: tuple[float, ...]
) -> None:
    """Scatter strokes that read as digits, letters or arrows from afar."""
    kind = rng.random()
    middle = SIZE // 2
    span = int(reach * SIZE)
    rgba = (*ink, 1.0)
    if kind < 0.4:
        text = str(int(rng.integers(10, 130)))
        scale = span / 42
        (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, 12)
        # OpenCV 5 writes on 8-bit images alone.
        written = np.zeros((SIZE, SIZE), np.uint8)
        at = (middle - w // 2, middle + h // 2)
        cv2.putText(written, text, at, cv2.FONT_HERSHEY_DUPLEX, scale, (255,), 12)
        canvas[written[::-1] > 0] = rgba
    elif kind < 0.7:
        tilt = rng.uniform(0, 2 * np.pi)
        tip = (int(middle + span * np.cos(tilt)), int(middle + span * np.sin(tilt)))
        tail = (int(middle - span * np.cos(tilt)), int(middle - span * np.sin(tilt)))
        cv2.arrowedLine(canvas, tail, tip, rgba, 22, tipLength=0.45)
    else:
        for _ in range(int(rng.integers(1, 5))):
            x, y = rng.integers(middle - span, middle + span, 2)
            size = rng.integers(12, max(span, 14), 2)
            cv2.rectangle(
                canvas, (int(x), int(y)), (int(x + size[0]), int(y + size[1] // 2)), rgba, -1
            )


def sign(rng: np.random.Generator) -> Texture:
    """Return a traffic sign ``(S, S, 4)``, clear around its shape."""
    canvas = np.zeros((SIZE, SIZE, 4), np.float32)
    shape = str(rng.choice(_SHAPES))
    radius = 0.49
    styles = [(RED, WHITE, BLACK), (BLUE, BLUE, WHITE), (BLACK, YELLOW, BLACK), (RED, RED, WHITE)]
    styles += [(WHITE, GREEN, WHITE), (WHITE, BLUE, WHITE), (BLACK, WHITE, BLACK)]
    border, field, ink = styles[int(rng.integers(len(styles)))]
    _shape(canvas, shape, radius, border)
    _shape(canvas, shape, radius * rng.uniform(0.76, 0.92), field)
    if shape == "board":
        for _ in range(int(rng.integers(1, 4))):
            y = rng.uniform(0.15, 0.8)
            for x in np.arange(0.12, rng.uniform(0.5, 0.85), 0.07):
                cv2.rectangle(
                    canvas,
                    (int(x * SIZE), int(y * SIZE)),
                    (int((x + 0.045) * SIZE), int((y + 0.11) * SIZE)),
                    (*ink, 1.0),
                    -1,
                )
    else:
        _glyphs(canvas, rng, radius * 0.5, ink)
    dirt = 1 - rng.uniform(0, 0.35) * noise(rng, SIZE, exponent=2.2)
    canvas[..., :3] *= dirt[..., None]
    return canvas


def poster(rng: np.random.Generator) -> Texture:
    """Return an advertisement ``(S, S, 3)``: a few fields of colour and lines of text."""
    canvas = np.empty((SIZE, SIZE, 3), np.float32)
    canvas[...] = rng.uniform(0.1, 0.95) + rng.uniform(-0.15, 0.15, 3)
    for _ in range(int(rng.integers(3, 9))):
        center = tuple(int(value) for value in rng.integers(0, SIZE, 2))
        axes = tuple(int(value) for value in rng.integers(15, 120, 2))
        color = tuple(rng.uniform(0, 1, 3).tolist())
        cv2.ellipse(canvas, center, axes, float(rng.uniform(0, 180)), 0, 360, color, -1)
    for _ in range(int(rng.integers(2, 6))):
        x, y = (int(value) for value in rng.integers(10, 200, 2))
        value = float(rng.choice([0.05, 0.95]))
        cv2.rectangle(canvas, (x, y), (x + 90, y + int(rng.integers(5, 22))), (value,) * 3, -1)
    return canvas


def fence(rng: np.random.Generator) -> Texture:
    """Return a see-through fence ``(S, S, 4)``; the gaps keep a trace of alpha, see twigs."""
    canvas = np.full((SIZE, SIZE, 4), 0.9, np.float32)
    canvas[..., 3] = 0.03
    kind = rng.random()
    if kind < 0.5:
        count = int(rng.integers(5, 16))
        width = max(int(SIZE / count * rng.uniform(0.12, 0.5)), 3)
        for k in range(count):
            x = int((k + 0.5) * SIZE / count)
            canvas[:, x - width // 2 : x + width // 2 + 1, 3] = 1.0
        for y in (rng.uniform(0.05, 0.2), rng.uniform(0.75, 0.92)):
            canvas[int(y * SIZE) : int(y * SIZE) + 14, :, 3] = 1.0
    elif kind < 0.75:
        opacity = np.zeros((SIZE, SIZE), np.float32)
        for offset in range(-SIZE, 2 * SIZE, 16):
            cv2.line(opacity, (offset, 0), (offset + SIZE, SIZE), 1.0, 2, cv2.LINE_AA)
            cv2.line(opacity, (offset, SIZE), (offset + SIZE, 0), 1.0, 2, cv2.LINE_AA)
        opacity[-8:] = 1.0
        canvas[..., 3] = np.maximum(opacity, 0.03)
    else:
        for y in np.linspace(0.12, 0.9, int(rng.integers(2, 5))):
            canvas[int(y * SIZE) - 9 : int(y * SIZE) + 9, :, 3] = 1.0
    canvas[:, :7, 3] = canvas[:, -7:, 3] = 1.0
    shade = 0.9 + 0.3 * (noise(rng, SIZE, exponent=1.5) - 0.5)
    canvas[..., :3] *= shade[..., None]
    return canvas


def spokes(rng: np.random.Generator) -> Texture:
    """Return a bicycle wheel ``(S, S, 4)``: tyre, rim, spokes, and clear in between."""
    canvas = np.zeros((SIZE, SIZE, 4), np.float32)
    canvas[..., :3] = 0.12
    middle = (SIZE // 2, SIZE // 2)
    cv2.circle(canvas, middle, SIZE // 2 - 4, (0.3, 0.3, 0.3, 0.06), -1)
    for angle in np.linspace(0, 2 * np.pi, int(rng.integers(12, 24)), endpoint=False):
        end = (
            int(middle[0] + 118 * np.cos(angle)),
            int(middle[1] + 118 * np.sin(angle)),
        )
        cv2.line(canvas, middle, end, (0.5, 0.5, 0.5, 0.7), 2, cv2.LINE_AA)
    cv2.circle(canvas, middle, SIZE // 2 - 14, (0.55, 0.55, 0.55, 1.0), 8)
    cv2.circle(canvas, middle, SIZE // 2 - 6, (0.06, 0.06, 0.06, 1.0), 10)
    cv2.circle(canvas, middle, 12, (0.2, 0.2, 0.2, 1.0), -1)
    return canvas
