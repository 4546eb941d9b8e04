# SPDX-License-Identifier: Apache-2.0
"""Which images go through the network together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

LARGEST_BATCH = 4
"""Most images at once."""


def batches_of_one_size(sizes: Sequence[Hashable]) -> list[list[int]]:
    """Divide images among batches.

    Args:
        sizes: Of each image's network input.

    Returns:
        Indices into ``sizes``. All of a batch are of one size, and a batch has 4, 2 or 1 of them:
        a backend that compiles for fixed shapes has few to compile then, and none is padded.
    """
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for index, size in enumerate(sizes):
        groups[size].append(index)
    batches = []
    for group in groups.values():
        length = LARGEST_BATCH
        while group:
            while length > len(group):
                length //= 2
            batches.append(group[:length])
            group = group[length:]
    return batches
