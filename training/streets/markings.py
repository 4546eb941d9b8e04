# SPDX-License-Identifier: Apache-2.0
"""Paint on the road: lane lines, stop lines, crossings, arrows, hatching; repairs and manholes.

All of it is road, a few millimetres thick, drawn over the carriageway by its decal step.
"""

import numpy as np

from training.streets import textures
from training.streets.classes import SemanticClass
from training.streets.curve import Relief
from training.streets.ground import Mouth, strip
from training.streets.mesh import Color, FloatArray, Material, Mesh, Surface, grid, merge
from training.streets.roads import Road

_LIFT = 0.004


class RoadPainter:
    """Paints one road.

    Args:
        road: The road.
        relief: Height of the land.
        rng: Source of styles: colours, dash lengths, wear.
    """

    def __init__(self, road: Road, relief: Relief, rng: np.random.Generator) -> None:
        self._road, self._relief, self._rng = road, relief, rng
        level = int(rng.integers(165, 256))
        self._white = self._paint((level, level, level))
        yellow: Color = (level, int(level * 0.74), int(level * 0.2))
        self._center = self._paint(yellow) if rng.random() < 0.35 else self._white
        self._dash = float(rng.choice([1.0, 2.0, 3.0, 4.5, 6.0]))
        self._gap = self._dash * rng.uniform(0.6, 3.0)
        self._width = rng.uniform(0.09, 0.18)

    @staticmethod
    def _paint(color: Color) -> Surface:
        return Surface(
            SemanticClass.ROAD, textures.PAINT_WORN, Material.GROUND, color=color, ground_offset=4
        )

    def _line(self, span: tuple[float, float], d: float, surface: Surface, width: float) -> Mesh:
        edges, lift = (d - width / 2, d + width / 2), (_LIFT, _LIFT)
        return strip(self._road.line, self._relief, span, edges, lift, surface, 1.3)

    def _dashes(self, span: tuple[float, float], d: float, surface: Surface) -> list[Mesh]:
        starts = np.arange(span[0], span[1] - self._dash, self._dash + self._gap)
        return [self._line((s, s + self._dash), d, surface, self._width) for s in starts]

    def lanes(self, spans: list[tuple[float, float]]) -> Mesh:
        """Return the lines between lanes, in the middle and at the edges."""
        road, rng, parts = self._road, self._rng, []
        if road.kind in ("lane", "residential") and rng.random() < 0.55:
            return merge([])
        style = rng.random()
        edge_line = road.kind in ("highway", "suburb") or rng.random() < 0.35
        for span in spans:
            if not road.median:
                if style < 0.5:
                    parts += self._dashes(span, 0.0, self._center)
                elif style < 0.8:
                    parts += [
                        self._line(span, d, self._center, self._width) for d in (-0.13, 0.13)
                    ]
                else:
                    parts.append(self._line(span, 0.0, self._center, self._width))
            for side in (-1, 1):
                for lane in range(1, road.lanes):
                    d = side * (road.median / 2 + lane * road.lane_width)
                    parts += self._dashes(span, d, self._white)
                outer = side * (road.half_width - road.cycle_lane)
                if edge_line or road.cycle_lane:
                    parts.append(self._line(span, outer - side * 0.2, self._white, self._width))
                if road.median and edge_line:
                    inner = side * (road.median / 2 + 0.25)
                    parts.append(self._line(span, inner, self._center, self._width))
                if edge_line is False and rng.random() < 0.4:
                    curb = side * (road.curb(side) - 0.3)
                    parts += [
                        self._line(span, curb - side * k, self._center, 0.07) for k in (0, 0.2)
                    ]
                if road.cycle_lane and road.kind != "highway" and rng.random() < 0.5:
                    tones: list[Color] = [(150, 75, 65), (80, 130, 90), (90, 110, 160)]
                    paint = self._paint(tones[int(rng.integers(3))])
                    paint = Surface(
                        paint.semantic,
                        paint.layer,
                        paint.material,
                        color=paint.color,
                        ground_offset=2,
                    )
                    d = side * (road.half_width - road.cycle_lane / 2)
                    parts.append(self._line(span, d, paint, road.cycle_lane))
                band = road.band(side, "parking")
                if band is not None and rng.random() < 0.7:
                    pitch = 6.0 if band.outer - band.inner < 3 else 2.6
                    for s in np.arange(span[0], span[1], pitch):
                        parts.append(
                            self._bar(s, side * band.middle, 0.1, band.outer - band.inner)
                        )
        return merge(parts)

    def _bar(self, s: float, d: float, length: float, width: float) -> Mesh:
        return self._line((s, s + length), d, self._white, width)

    def junction(self, mouth: Mouth, *, crossing: bool) -> Mesh:
        """Return stop lines and zebra stripes on the main road before and after a mouth."""
        road, rng, parts = self._road, self._rng, []
        reach = mouth.half_width + mouth.radius + rng.uniform(0.5, 1.5)
        for end in (-1, 1):
            at = mouth.station + end * reach
            if crossing:
                parts.append(self.zebra(at + end * 0.5, end))
                at += end * 4.6
            half = road.curb(1 if (end < 0) == road.left_hand else -1)
            toward = 1 if (end < 0) == road.left_hand else -1
            middle = toward * (half + road.median / 2) / 2
            parts.append(self._bar(at, middle, 0.35, half - road.median / 2 - 0.3))
        return merge(parts)

    def zebra(self, s: float, direction: int) -> Mesh:
        """Return a zebra crossing of 3.2 m that begins at s."""
        road, parts = self._road, []
        first = s if direction > 0 else s - 3.2
        pitch = self._rng.uniform(0.9, 1.3)
        for d in np.arange(-road.curb(-1) + 0.4, road.curb(1) - 0.2, pitch):
            parts.append(self._line((first, first + 3.2), d, self._white, pitch * 0.5))
        return merge(parts)

    def arrow(self, s: float, lane: int, direction: int) -> Mesh:
        """Return a lane arrow, straight on or turning."""
        d = self._road.lane_offset(lane, direction)
        turn = float(self._rng.choice([-1, 0, 0, 1]))
        shaft = [(-2.2, -0.09), (-2.2, 0.09), (0.4, -0.09), (0.4, 0.09)]
        head = [(0.4, -0.45), (0.4, 0.45), (1.9, 0.0), (1.9, 0.0)]
        if turn:
            head = [(0.3, turn * 0.1), (1.2, turn * 0.1), (0.6, turn * 1.0), (0.6, turn * 1.0)]
        parts = []
        for polygon in (shaft, head):
            local = np.array(polygon).reshape(2, 2, 2)
            parts.append(
                self._patch(
                    s + direction * local[..., 0], d + direction * local[..., 1], self._white
                )
            )
        return merge(parts)

    def _patch(self, s: FloatArray, d: FloatArray, surface: Surface, tile: float = 1.3) -> Mesh:
        xy = self._road.line.at(s, d)
        z = self._relief.height(xy) + _LIFT
        points = np.concatenate([xy, z[..., None]], -1)
        return grid(points, surface, uv=xy / tile)

    def hatching(self, s: float, length: float) -> Mesh:
        """Return a hatched island of slanted bars in the middle of the road."""
        parts = []
        half = min(self._road.lane_width * 0.35, 1.2)
        for k in np.arange(0, length, 1.6):
            corners_s = np.array([[s + k, s + k + 0.5], [s + k + 1.2, s + k + 1.7]])
            corners_d = np.array([[-half, -half], [half, half]])
            parts.append(self._patch(corners_s, corners_d, self._white))
        return merge(parts)

    def repairs(self, span: tuple[float, float]) -> Mesh:
        """Return asphalt patches, trenches and manhole covers."""
        road, rng, parts = self._road, self._rng, []
        for _ in range(int(rng.integers(0, int((span[1] - span[0]) / 12) + 1))):
            shade = int(rng.integers(120, 255))
            tone = Surface(
                SemanticClass.ROAD, int(rng.choice(textures.ASPHALT)), Material.GROUND,
                color=(shade, shade, shade), ground_offset=1,
            )  # fmt: skip
            s, d = rng.uniform(*span), rng.uniform(-road.half_width, road.half_width)
            long, wide = rng.uniform(0.6, 14), rng.uniform(0.4, 2.2)
            edges = (max(d - wide / 2, -road.curb(-1)), min(d + wide / 2, road.curb(1)))
            parts.append(
                strip(
                    road.line,
                    self._relief,
                    (s, s + long),
                    edges,
                    (_LIFT / 2, _LIFT / 2),
                    tone,
                    3.0,
                )
            )
        for _ in range(int(rng.integers(0, int((span[1] - span[0]) / 10) + 1))):
            s, d = rng.uniform(*span), rng.uniform(-1, 1) * road.half_width * 0.9
            shade = int(rng.integers(40, 110))
            iron = Surface(
                SemanticClass.ROAD, textures.PAVING[0], Material.GROUND,
                color=(shade, shade, shade), ground_offset=3,
            )  # fmt: skip
            angle = np.linspace(0, 2 * np.pi, 13)
            rim_s, rim_d = s + 0.33 * np.cos(angle), d + 0.33 * np.sin(angle)
            ring_s, ring_d = np.stack([np.full(13, s), rim_s]), np.stack([np.full(13, d), rim_d])
            parts.append(self._patch(ring_s, ring_d, iron, 0.4))
        return merge(parts)
