# SPDX-License-Identifier: Apache-2.0
"""Who belongs to whom: the assignment of rows to columns with the largest total score."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def assign(score: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Match rows to columns, each at most once, so that the sum of scores is largest.

    Args:
        score: float ``(N, M)``, finite; pairs of score 0 or less are never matched.

    Returns:
        Pairs (row, column), ascending by row.

    Source: shortest augmenting paths with potentials (Jonker and Volgenant, Computing 1987).
    """
    rows, columns = score.shape
    if rows > columns:
        return sorted((row, column) for column, row in assign(score.T))
    if rows == 0:
        return []
    cost = -np.maximum(score, 0.0)
    row_potential, column_potential = np.zeros(rows), np.zeros(columns)
    row_of = np.full(columns, -1)
    for start in range(rows):
        distance = np.full(columns, np.inf)
        before = np.full(columns, -1)
        done = np.zeros(columns, bool)
        row, column, length = start, -1, 0.0
        while row >= 0:
            step = length + cost[row] - row_potential[row] - column_potential
            shorter = ~done & (step < distance)
            distance[shorter], before[shorter] = step[shorter], column
            column = int(np.where(done, np.inf, distance).argmin())
            length, row = float(distance[column]), int(row_of[column])
            done[column] = True
        reached = done & (row_of >= 0)
        row_potential[start] += length
        row_potential[row_of[reached]] += length - distance[reached]
        column_potential[done] -= length - distance[done]
        while column >= 0:
            previous = int(before[column])
            row_of[column] = row_of[previous] if previous >= 0 else start
            column = previous
    return sorted(
        (int(row), column)
        for column, row in enumerate(row_of.tolist())
        if row >= 0 and score[row, column] > 0
    )
