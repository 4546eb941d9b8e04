# SPDX-License-Identifier: Apache-2.0
"""The results of an ablation as a table: means and standard deviations over the seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from training.ablation import Ablation

_SMALLER_IS_BETTER = (
    "abs_rel",
    "abs_rel_border",
    "abs_rel_interior",
    "sq_rel",
    "rmse",
    "rmse_log",
    "silog",
    "segment_depth",
    "segment_depth_mean",
)
_BEST_IS_1 = ("median_ratio", "thing_height")


def table(ablation: Ablation, figures: Mapping[tuple[str, ...], list[dict[str, float]]]) -> str:
    """Write the results as a Markdown table; the best mean of each column is bold.

    Args:
        ablation: What was tried.
        figures: Results of the runs that ended, by combination.
    """
    best = {name: _best(name, figures.values()) for name in ablation.figures}
    rows = [[*ablation.axes, *(f"`{name}`" for name in ablation.figures)]]
    rows.append(["---"] * len(rows[0]))
    for combination, runs in figures.items():
        cells = [_cell(name, runs, best[name]) for name in ablation.figures]
        if len(runs) < len(ablation.seeds):
            cells[0] += f" ({len(runs)} of {len(ablation.seeds)} runs ended)"
        rows.append([*combination, *cells])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _values(name: str, runs: Sequence[Mapping[str, float]]) -> list[float]:
    return [run[name] for run in runs if name in run]


def _best(name: str, cells: Sequence[list[dict[str, float]]] | Any) -> float | None:
    means = [statistics.mean(_values(name, runs)) for runs in cells if _values(name, runs)]
    figure = name.rpartition(":")[2].split("/")[0]
    if figure in _BEST_IS_1:
        return min(means, key=lambda mean: abs(math.log(mean)), default=None)
    choose = min if figure in _SMALLER_IS_BETTER else max
    return choose(means, default=None)


def _cell(name: str, runs: Sequence[Mapping[str, float]], best: float | None) -> str:
    values = _values(name, runs)
    if not values:
        return "-"
    mean = statistics.mean(values)
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    text = f"{mean:.3f}"
    return (f"**{text}**" if mean == best else text) + spread
