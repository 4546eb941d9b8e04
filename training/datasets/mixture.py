# SPDX-License-Identifier: Apache-2.0
"""Several datasets mixed by weight into an endless, seekable stream of training examples.

Example ``n`` depends on the seed and ``n`` alone: no state has to be saved to resume exactly, and
neither workers nor processes change what is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from training.datasets.sample import Sample, SampleDataset

Example = dict[str, Tensor]
ToExample = Callable[[Sample, np.random.Generator, int], Example]


@dataclass(frozen=True)
class MixedDataset:
    """A dataset of a mixture.

    Attributes:
        dataset: Its frames.
        weight: Share of the examples that come from it, relative to the other weights.
        to_example: Augmentation and targets of a frame; the last argument is the optimiser step.
        frames_together: The examples of a batch are drawn from that many neighbouring frames,
            which cost less together.
    """

    dataset: SampleDataset
    weight: float
    to_example: ToExample
    frames_together: int = 1


class Mixture(Dataset[Example]):
    """The stream of examples.

    Args:
        datasets: What to mix, by name.
        batch_size: Examples of an optimiser step, over all processes; within them datasets keep
            their shares as well as whole numbers allow.
        seed: Chooses the stream.
    """

    def __init__(
        self, datasets: Mapping[str, MixedDataset], *, batch_size: int, seed: int
    ) -> None:
        used = {name: mixed for name, mixed in datasets.items() if mixed.weight > 0}
        if not used:
            raise ValueError("datasets: none has a positive weight, expected at least one")
        self.names = list(used)
        self._datasets = list(used.values())
        weights = np.array([mixed.weight for mixed in self._datasets], dtype=np.float64)
        self._cumulative = np.cumsum(weights) / weights.sum()
        self._batch_size = batch_size
        self._seed = seed

    def __getitem__(self, index: int) -> Example:
        """Make example ``index`` of the stream."""
        step, slot = divmod(index, self._batch_size)
        # One shift per batch spreads the slots evenly over the datasets (systematic sampling).
        # Not (seed, step), which NumPy pads with a zero: that is the key of slot 0.
        key = (self._seed, step, self._batch_size + len(self._datasets))
        shift = np.random.default_rng(key).random()
        position = (slot + shift) / self._batch_size
        chosen = int(np.searchsorted(self._cumulative, position, side="right"))
        chosen = min(chosen, len(self._datasets) - 1)
        mixed = self._datasets[chosen]
        rng = np.random.default_rng((self._seed, step, slot))
        first, last = 0, len(mixed.dataset)
        if mixed.frames_together > 1:
            shared = np.random.default_rng((self._seed, step, self._batch_size + chosen))
            first = int(shared.integers(last)) // mixed.frames_together * mixed.frames_together
            last = min(last, first + mixed.frames_together)
        sample = mixed.dataset[int(rng.integers(first, last))]
        return mixed.to_example(sample, rng, step)


class StepSampler:
    """Index lists of one process, one list per forward pass, from ``first_step`` on.

    Args:
        first_step, last_step: Optimiser steps to cover, the last excluded.
        batch_size: Examples per optimiser step over all processes and accumulated passes.
        passes: Forward passes per optimiser step of each process.
        rank, world_size: This process, and how many there are.
    """

    def __init__(
        self,
        first_step: int,
        last_step: int,
        batch_size: int,
        *,
        passes: int = 1,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size % (passes * world_size):
            raise ValueError(
                f"batch_size: got {batch_size}, expected a multiple of processes times "
                f"accumulation ({world_size} * {passes})"
            )
        self._steps = range(first_step, last_step)
        self._batch_size = batch_size
        self._passes = passes
        self._rank = rank
        self._share = batch_size // world_size

    def __len__(self) -> int:
        """Return the number of forward passes."""
        return len(self._steps) * self._passes

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the indices of each forward pass."""
        for step in self._steps:
            start = step * self._batch_size + self._rank * self._share
            for accumulated in range(self._passes):
                # Neighbours come from one dataset; norms and losses of a pass should see all.
                yield list(range(start + accumulated, start + self._share, self._passes))
