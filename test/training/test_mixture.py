# SPDX-License-Identifier: Apache-2.0
"""The stream of examples depends on seed and number alone, and keeps its shares."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from training.datasets.mixture import MixedDataset, Mixture, StepSampler
from training.datasets.sample import Sample


class Named:
    """Empty frames that know where they come from."""

    def __init__(self, name: str, count: int) -> None:
        self.name, self.count = name, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        image = np.zeros((1, 1, 3), np.uint8)
        return Sample(image, None, None, None, None, f"{self.name}{index}")


def to_example(sample: Sample, rng: np.random.Generator, step: int) -> dict:
    return {"name": sample.name, "draw": torch.tensor(rng.random()), "step": step}


def mixture(seed: int = 0, batch_size: int = 8, **weights: float) -> Mixture:
    return Mixture(
        {name: MixedDataset(Named(name, 5), w, to_example) for name, w in weights.items()},
        batch_size=batch_size,
        seed=seed,
    )


def test_shares_follow_the_weights_in_every_batch():
    mixed = mixture(a=3.0, b=1.0, c=0.0)
    for step in range(50):
        names = Counter(mixed[step * 8 + slot]["name"][0] for slot in range(8))
        assert names == {"a": 6, "b": 2}


def test_uneven_shares_are_kept_on_average():
    mixed = mixture(a=1.0, b=0.1)
    names = Counter(mixed[index]["name"][0] for index in range(8 * 400))
    assert names["b"] / sum(names.values()) == pytest.approx(0.1 / 1.1, rel=0.1)


def test_an_example_depends_on_seed_and_number_alone():
    first, again, other = mixture(a=1.0), mixture(a=1.0), mixture(seed=1, a=1.0)
    forward = [first[index]["draw"].item() for index in range(20)]
    backward = [again[index]["draw"].item() for index in reversed(range(20))]
    assert forward == backward[::-1]
    assert forward != [other[index]["draw"].item() for index in range(20)]
    assert len(set(forward)) == 20


def test_the_first_of_a_batch_draws_the_same_from_whatever_dataset_it_comes():
    # Datasets of one frame need no draw to choose it, so that the first draw is seen here.
    mixed = Mixture(
        {name: MixedDataset(Named(name, 1), 1.0, to_example) for name in "ab"},
        batch_size=1,
        seed=0,
    )
    draws = {"a": [], "b": []}
    for step in range(400):
        example = mixed[step]
        draws[example["name"][0]].append(example["draw"].item())
    for values in draws.values():
        assert np.mean(values) == pytest.approx(0.5, abs=0.06)


def test_all_examples_of_a_step_are_told_its_number():
    mixed = mixture(batch_size=4, a=1.0)
    assert [mixed[index]["step"] for index in range(12)] == [0] * 4 + [1] * 4 + [2] * 4


def test_nothing_to_mix_is_an_error():
    with pytest.raises(ValueError, match="none has a positive weight"):
        mixture(a=0.0)


def test_processes_and_passes_share_a_batch_without_overlap():
    whole = [index for indices in StepSampler(3, 5, 8) for index in indices]
    assert whole == list(range(24, 40))
    shared = []
    for rank in range(2):
        sampler = StepSampler(3, 5, 8, passes=2, rank=rank, world_size=2)
        assert len(sampler) == 4
        for indices in sampler:
            assert len(indices) == 2
            shared += indices
    assert sorted(shared) == whole
    with pytest.raises(ValueError, match="batch_size: got 8"):
        StepSampler(0, 1, 8, passes=3)


def test_workers_do_not_change_the_stream():
    def draws(workers: int) -> list[float]:
        loader = DataLoader(
            mixture(a=1.0, b=1.0), batch_sampler=StepSampler(0, 3, 8), num_workers=workers
        )
        return [value for batch in loader for value in batch["draw"].tolist()]

    assert draws(0) == draws(2)


def test_frames_that_cost_less_together_are_drawn_together():
    def drawn(frames_together: int, step: int) -> list[int]:
        town = MixedDataset(Named("", 95), 1.0, to_example, frames_together)
        mixed = Mixture({"town": town}, batch_size=6, seed=0)
        return [int(mixed[step * 6 + slot]["name"]) for slot in range(6)]

    towns = []
    for step in range(60):
        town = {index // 10 for index in drawn(10, step)}
        assert len(town) == 1
        towns += town
    assert set(towns) == set(range(10))
    assert len({index // 10 for index in drawn(1, 0)}) > 1


def test_every_pass_of_a_step_keeps_the_shares():
    mixed = mixture(a=3.0, b=1.0)
    for indices in StepSampler(0, 20, 8, passes=2):
        assert Counter(mixed[index]["name"][0] for index in indices) == {"a": 3, "b": 1}
