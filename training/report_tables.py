# SPDX-License-Identifier: Apache-2.0
"""The figures of an evaluation as a report's tables, named and with units for any reader."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.results_table import band_name, bands, class_names

_PARTS = {"all classes": "", "things": "_things", "stuff": "_stuff"}
_QUALITIES = {"PQ": "pq", "SQ": "sq", "RQ": "rq"}
_LIMITS = {"50 %": "dpq@0.5", "25 %": "dpq@0.25", "10 %": "dpq@0.1", "mean of the three": "dpq"}
_SEGMENTS = {
    "mIoU": ("miou", "{:.1%}"),
    "AP": ("ap", "{:.1%}"),
    "AP at IoU 0.5": ("ap50", "{:.1%}"),
    "depth of found segments, median error": ("segment_depth", "{:.1%}"),
    "depth of found segments, mean error": ("segment_depth_mean", "{:.1%}"),
    "height of found things, predicted / true": ("thing_height", "{:.3f}"),
    "found segments": ("segments", "{:.0f}"),
}
_DEPTH = {
    "AbsRel": ("abs_rel", "{:.1%}"),
    "AbsRel, interior": ("abs_rel_interior", "{:.1%}"),
    "AbsRel, border": ("abs_rel_border", "{:.1%}"),
    "SqRel": ("sq_rel", "{:.2f} m"),
    "RMSE": ("rmse", "{:.2f} m"),
    "RMSE of the logarithm": ("rmse_log", "{:.3f}"),
    "SILog": ("silog", "{:.1f}"),
    "within factor 1.25": ("delta1", "{:.1%}"),
    "within factor 1.25²": ("delta2", "{:.1%}"),
    "within factor 1.25³": ("delta3", "{:.1%}"),
    "predicted / true, median": ("median_ratio", "{:.3f}"),
    "answered": ("coverage", "{:.1%}"),
}
_CLASS_COLUMNS = {"PQ": "pq", "IoU": "iou", "AP": "ap", "depth error": "segment_depth"}


@dataclass(frozen=True)
class PageTable:
    """A table of a page.

    Attributes:
        title: What it is about.
        columns: Headings, the first of the row names.
        rows: Cells as text, the row's name first.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def page_tables(results: Mapping[str, float]) -> list[PageTable]:
    """Arrange figures; those that are absent or NaN leave no row and no table behind."""
    # Means over no class at all, such as PQ of things where there are none.
    results = {name: value for name, value in results.items() if not math.isnan(value)}

    def percent(key: str) -> str:
        return f"{results[key]:.1%}" if key in results else "–"

    def listed(figures: Mapping[str, tuple[str, str]]) -> list[tuple[str, ...]]:
        return [
            (name, form.format(results[key]))
            for name, (key, form) in figures.items()
            if key in results
        ]

    parts = {name: suffix for name, suffix in _PARTS.items() if f"pq{suffix}" in results}
    quality = [
        (name, *(percent(key + suffix) for key in _QUALITIES.values()))
        for name, suffix in parts.items()
    ]
    limits = [(name, percent(key)) for name, key in _LIMITS.items() if key in results]
    distances = [
        (band_name(band), percent(f"segment_depth/{band}"))
        for band in bands(results, "segment_depth")
    ]
    heights = [
        (band_name(band), f"{results[f'thing_height/{band}']:.2f}")
        for band in bands(results, "thing_height")
    ]
    classes = class_names(results)
    columns = {
        title: figure
        for title, figure in _CLASS_COLUMNS.items()
        if any(f"{figure}/{name}" in results for name in classes)
    }
    by_class = [
        (name, *(percent(f"{figure}/{name}") for figure in columns.values())) for name in classes
    ]
    tables = [
        PageTable("Panoptic quality", ("", *_QUALITIES), quality),
        PageTable("Segments", ("", ""), listed(_SEGMENTS)),
        PageTable("Depth of pixels", ("", ""), listed(_DEPTH)),
        PageTable("Depth-aware panoptic quality", ("depth error below", "DPQ"), limits),
        PageTable("Depth of found segments", ("distance", "median error"), distances),
        PageTable("Height of found things", ("true height", "predicted / true, median"), heights),
        PageTable("Classes", ("", *columns), by_class),
    ]
    return [table for table in tables if table.rows]
