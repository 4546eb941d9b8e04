# SPDX-License-Identifier: Apache-2.0
"""Roads: centre lines, and the bands (lanes, pavements, verges) that run along them.

A place on a road is (s, d): metres along the centre line and metres to its left.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.streets.curve import Curve

RoadKind = Literal[
    "high_street", "boulevard", "residential", "suburb", "highway", "retail", "lane", "pedestrian"
]
BandKind = Literal["parking", "sidewalk", "verge", "garden", "plaza", "bank", "field"]
CURB_HEIGHT = 0.12


@dataclass(frozen=True)
class Band:
    """A strip along one side of a road.

    Attributes:
        kind: What it is.
        inner: Distance of its inner edge from the centre line, metres.
        outer: Distance of its outer edge.
        low: Height of the inner edge over the road.
        high: Height of the outer edge.
    """

    kind: BandKind
    inner: float
    outer: float
    low: float
    high: float

    @property
    def middle(self) -> float:
        """Distance of its middle line from the centre line."""
        return (self.inner + self.outer) / 2


@dataclass(frozen=True)
class Road:
    """A road.

    Attributes:
        kind: What stands along it.
        line: Its centre line.
        lanes: Lanes per direction.
        lane_width: Metres.
        median: Width of the raised strip in the middle, 0 = none.
        cycle_lane: Width of the cycle lanes at the edges of the carriageway, 0 = none.
        bands: Left (index 0) and right (index 1) bands, from the carriageway outwards.
        left_hand: Whether traffic keeps to the left.
    """

    kind: RoadKind
    line: Curve
    lanes: int
    lane_width: float
    median: float
    cycle_lane: float
    bands: tuple[tuple[Band, ...], tuple[Band, ...]]
    left_hand: bool

    @property
    def half_width(self) -> float:
        """Distance from the centre line to the edge of the moving lanes."""
        return self.median / 2 + self.lanes * self.lane_width + self.cycle_lane

    def curb(self, side: int) -> float:
        """Distance from the centre line to the curb; side +1 left, -1 right."""
        return next((b.inner for b in self.side(side) if b.kind != "parking"), self.half_width)

    def side(self, side: int) -> tuple[Band, ...]:
        """Return the bands of a side; +1 left, -1 right."""
        return self.bands[0 if side > 0 else 1]

    def band(self, side: int, kind: BandKind) -> Band | None:
        """Return the first band of a kind, if any."""
        return next((band for band in self.side(side) if band.kind == kind), None)

    def lane_offset(self, lane: int, direction: int) -> float:
        """Return d of a lane's middle; lane 0 is the innermost, direction +1 along s."""
        offset = self.median / 2 + (lane + 0.5) * self.lane_width
        return offset * (1 if (direction > 0) == self.left_hand else -1)

    def height(self, d: float) -> float:
        """Return the height of the ground over the road at d, metres."""
        for band in self.side(1 if d > 0 else -1):
            if band.inner <= abs(d) <= band.outer:
                share = (abs(d) - band.inner) / max(band.outer - band.inner, 1e-6)
                return band.low + share * (band.high - band.low)
        last = self.side(1 if d > 0 else -1)
        return last[-1].high if last and abs(d) > last[-1].outer else 0.0


# Lanes per direction, fewest and most.
_LANES: dict[RoadKind, tuple[int, int]] = {
    "boulevard": (2, 3),
    "highway": (2, 4),
    "retail": (1, 2),
    "suburb": (1, 2),
}


def road(
    rng: np.random.Generator,
    kind: RoadKind,
    line: Curve,
    *,
    left_hand: bool,
    sloped: bool,
    field: bool = True,
) -> Road:
    """Return a road of a kind along a line.

    Args:
        rng: Source of its measures.
        kind: What stands along it.
        line: Its centre line.
        left_hand: Whether traffic keeps to the left.
        sloped: Whether banks beside it may rise or fall.
        field: Whether the land beyond its bands is its own; side roads cross the main road's.
    """
    fewest, most = _LANES.get(kind, (1, 1))
    lanes = int(rng.integers(fewest, most + 1))
    lane_width = rng.uniform(3.3, 3.8) if kind == "highway" else rng.uniform(2.7, 3.6)
    if kind == "pedestrian":
        lane_width = rng.uniform(2.0, 5.0)
    if kind == "lane":
        lane_width = rng.uniform(2.1, 2.7)
    median = 0.0
    if kind == "highway" or (kind in ("boulevard", "retail") and rng.random() < 0.55):
        median = rng.uniform(1.0, 5.0)
    cycle = 0.0
    if kind in ("boulevard", "high_street", "suburb") and rng.random() < 0.25:
        cycle = rng.uniform(1.2, 1.8)
    if kind == "highway":
        cycle = rng.uniform(1.0, 3.0)  # the hard shoulder
    edge = median / 2 + lanes * lane_width + cycle
    sides = [tuple(_bands(rng, kind, edge, sloped)) for _ in range(2)]
    if not field:
        sides = [tuple(band for band in bands if band.kind != "field") for bands in sides]
    return Road(kind, line, lanes, lane_width, median, cycle, (sides[0], sides[1]), left_hand)


def _bands(rng: np.random.Generator, kind: RoadKind, edge: float, sloped: bool) -> list[Band]:
    bands: list[Band] = []

    def add(what: BandKind, width: float, rise: float = 0.0, base: float | None = None) -> None:
        inner = bands[-1].outer if bands else edge
        low = base if base is not None else (bands[-1].high if bands else CURB_HEIGHT)
        bands.append(Band(what, inner, inner + width, low, low + rise))

    parking = {"high_street": 0.45, "boulevard": 0.5, "residential": 0.65, "lane": 0.4}
    if rng.random() < parking.get(kind, 0.0):
        add("parking", 2.2 if rng.random() < 0.8 else 4.8, base=0.0)
    grade = rng.uniform(-0.06, 0.28) if sloped else 0.0
    if kind == "highway":
        add("verge", rng.uniform(1.0, 4.0), base=0.0)
        add("bank", rng.uniform(6, 16), rise=grade * 10)
        add("field", 60.0)
        return bands
    if kind == "suburb":
        if rng.random() < 0.75:
            add("verge", rng.uniform(0.8, 4.0), base=CURB_HEIGHT)
        if rng.random() < 0.7:
            add("sidewalk", rng.uniform(1.3, 2.5), base=CURB_HEIGHT)
        if not bands:
            add("verge", 2.0, base=0.02)
        add("bank", rng.uniform(4, 14), rise=grade * 8)
        add("field", 60.0)
        return bands
    wide = {
        "high_street": (1.8, 4.5),
        "boulevard": (2.5, 6.5),
        "lane": (0.9, 2.0),
        "pedestrian": (1.5, 4.0),
    }
    if kind in ("boulevard", "residential") and rng.random() < 0.35:
        add("verge", rng.uniform(1.0, 2.5), base=CURB_HEIGHT)
    add("sidewalk", rng.uniform(*wide.get(kind, (1.5, 3.2))), base=CURB_HEIGHT)
    if kind == "residential":
        add("garden", rng.uniform(3, 9), rise=grade * 3)
    elif kind == "retail":
        add("verge", rng.uniform(1.0, 3.0))
        add("plaza", rng.uniform(12, 32))
    elif rng.random() < 0.2:
        add("plaza", rng.uniform(1.5, 8.0))
    add("field", 60.0)
    return bands
