# SPDX-License-Identifier: Apache-2.0
"""Seeds: every random choice of a street is drawn from a named, reproducible generator.

A town is made from *styles* (one style = one car design, one person, one facade, ...). Training
towns and held-out towns draw their styles, palettes and layouts from disjoint pools, so a held-out
town never shows a design that was trained on.
"""

import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

Split = Literal["train", "val"]


def generator(*keys: int | str) -> np.random.Generator:
    """Return the random generator that belongs to ``keys``; equal keys give equal streams."""
    words = [zlib.crc32(key.encode()) if isinstance(key, str) else key for key in keys]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


@dataclass(frozen=True)
class AppearancePool:
    """A range of style numbers.

    Attributes:
        split: Which towns draw from it.
        first_style: First style number of the pool.
        style_count: Number of styles of each kind.
    """

    split: Split
    first_style: int
    style_count: int

    def style(self, kind: str, rng: np.random.Generator) -> np.random.Generator:
        """Draw one style of a kind and return the generator that designs it."""
        number = self.first_style + int(rng.integers(self.style_count))
        return generator("style", kind, number)

    def town(self, seed: int, town_index: int) -> np.random.Generator:
        """Return the generator of one town's layout."""
        return generator("town", self.split, seed, town_index)


POOLS: dict[Split, AppearancePool] = {
    "train": AppearancePool("train", 0, 4096),
    "val": AppearancePool("val", 1_000_000, 512),
}
