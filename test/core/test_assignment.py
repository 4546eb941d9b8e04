# SPDX-License-Identifier: Apache-2.0
"""The assignment against trying every one."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from depthlab_core.assignment import assign


def best_sum(score: np.ndarray) -> float:
    if score.shape[0] > score.shape[1]:
        score = score.T
    rows, columns = score.shape
    gain = np.maximum(score, 0)
    return max(sum(gain[range(rows), list(p)]) for p in permutations(range(columns), rows))


SCORES = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 6)),
    elements=st.one_of(st.just(0.0), st.integers(-2, 4).map(float), st.floats(-1, 1)),
)


@settings(max_examples=300, deadline=None)
@given(SCORES)
def test_no_other_assignment_is_better(score: np.ndarray) -> None:
    pairs = assign(score)
    assert pairs == sorted(pairs)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(score[pair] > 0 for pair in pairs)
    assert sum(score[pair] for pair in pairs) == pytest.approx(best_sum(score), abs=1e-9)


def test_the_best_pair_alone_is_not_the_best_sum() -> None:
    assert assign(np.array([[1.0, 0.9], [0.9, 0.1]])) == [(0, 1), (1, 0)]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_assign(shape: tuple[int, int]) -> None:
    assert assign(np.zeros(shape)) == []


def test_a_large_problem() -> None:
    order = np.random.default_rng(0).permutation(200)
    score = np.random.default_rng(1).uniform(0, 0.5, (200, 200))
    score[np.arange(200), order] += 0.5
    assert assign(score) == list(enumerate(order.tolist()))
