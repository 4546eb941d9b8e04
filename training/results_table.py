# SPDX-License-Identifier: Apache-2.0
"""Evaluation figures as tables: overall, by class, by distance, by size; and as a file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

Results = dict[str, float]

_PER_CLASS = ("pq", "iou", "ap", "segment_depth")


@dataclass(frozen=True)
class Table:
    """A table of figures.

    Attributes:
        title: What it is about.
        columns: Headings, the first of the row names.
        rows: Row name and one value per further column; None where there is none.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, list[float | None]]]


def tables(results: Mapping[str, float]) -> list[Table]:
    """Arrange figures; those that are absent leave no table behind."""
    overall = [(name, [value]) for name, value in results.items() if "/" not in name]
    found = [Table("Overall", ("figure", "value"), [(n, list(v)) for n, v in overall])]
    classes = class_names(results)
    columns = [
        figure for figure in _PER_CLASS if any(f"{figure}/{name}" in results for name in classes)
    ]
    if columns:
        rows = [(name, [results.get(f"{c}/{name}") for c in columns]) for name in classes]
        found.append(Table("By class", ("class", *columns), rows))
    for title, of, figure in (
        ("Depth of segments by distance", "distance", "segment_depth"),
        ("Height of things by true height", "true height", "thing_height"),
    ):
        rows = [
            (band_name(band), [results[f"{figure}/{band}"]]) for band in bands(results, figure)
        ]
        if rows:
            found.append(Table(title, (of, figure), rows))
    return found


def bands(results: Mapping[str, float], figure: str) -> list[str]:
    """Return the distances or sizes that a figure is told for, such as ``10-20m``."""
    parts = [name.split("/", 1)[1] for name in results if name.startswith(f"{figure}/")]
    return [part for part in parts if part[:1].isdigit()]


def band_name(band: str) -> str:
    """Return the words for a distance or size: "10 to 20 m" for ``10-20m``, "over 80 m"."""
    low, high, unit = re.fullmatch(r"([\d.]+)-(inf|[\d.]+)(\w+)", band).groups()  # type: ignore[union-attr]
    return f"over {low} {unit}" if high == "inf" else f"{low} to {high} {unit}"


def class_names(results: Mapping[str, float]) -> list[str]:
    """Return the classes that there are figures for."""
    parts = [name.split("/", 1)[1] for name in results if "/" in name]
    return [part for part in dict.fromkeys(parts) if not part[:1].isdigit()]


def as_text(results: Mapping[str, float]) -> str:
    """Format figures for a terminal of 80 columns; overall ones stand in two or three columns."""
    overall, *others = tables(results)
    width = max([18, *(len(name) for name, _ in overall.rows)])
    cells = [f"{name:<{width}}{_number(values[0]):>7}" for name, values in overall.rows]
    height = -(-len(cells) // ((80 + 2) // (width + 7 + 2)))
    lines = ["  ".join(cells[row::height]).rstrip() for row in range(height)]
    for table in others:
        lines += ["", table.title]
        lines.append(f"{table.columns[0]:<18}" + "".join(f"{c:>15}" for c in table.columns[1:]))
        for name, values in table.rows:
            lines.append(f"{name:<18}" + "".join(f"{_number(value):>15}" for value in values))
    return "\n".join(lines)


def write_json(results: Mapping[str, float], path: Path) -> None:
    """Write figures as a JSON object; means over nothing (NaN), which JSON lacks, are null."""
    known = {name: value if math.isfinite(value) else None for name, value in results.items()}
    path.write_text(json.dumps(known, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{value:.4g}" if abs(value) >= 10 else f"{value:.4f}"
