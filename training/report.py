# SPDX-License-Identifier: Apache-2.0
"""An evaluation as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from depthlab_core.predictor import DepthLab
from training.datasets.sample import SampleDataset
from training.pictures import Picture, draw_panels
from training.report_tables import PageTable, page_tables
from training.results_table import Results

PAGE = "report.html"

_PANEL_WIDTH = 640
_CAPTIONS = {
    "input": "input",
    "panoptic": "segments",
    "panoptic_true": "true segments",
    "depth_error": "depth error: black 0, bright 50 % or more, grey no truth",
    "depth": "depth: red 3 m, blue 60 m, grey unknown",
    "depth_true": "true depth",
}
"""In the page's order, which its style makes three columns of."""
_CHOSEN_BY = {
    "pq": ("panoptic quality", False),
    "accuracy": ("share of pixels of the right class", False),
    "abs_rel": ("relative depth error", True),
}
"""Title of each figure that frames are ranked by, and whether less is better."""
_FRAME_FIGURES = {"pq": "PQ", "accuracy": "right class", "abs_rel": "AbsRel"}
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem;
  padding: 0 1.5rem; color: #1c2024; background: #fff; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.about { color: #60646c; margin-top: 0; }
.tables { display: flex; flex-wrap: wrap; gap: 1rem 3rem; align-items: flex-start; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; white-space: nowrap; font-weight: 600; padding: .6rem 0 .3rem; }
th, td { padding: .15rem .7rem; border-bottom: 1px solid #e4e6e9; text-align: right; }
th { color: #60646c; font-weight: 500; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.frame { margin: 0 0 1.8rem; } .frame h3 { font-size: .95rem; margin: .2rem 0; }
.panels { display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; }
.input { grid-area: 1 / 1; } .panoptic { grid-area: 1 / 2; } .panoptic_true { grid-area: 1 / 3; }
.depth_error { grid-area: 2 / 1; } .depth { grid-area: 2 / 2; } .depth_true { grid-area: 2 / 3; }
@media (max-width: 50rem) { .panels { display: block; } }
figure { margin: 0; } img { width: 100%; display: block; }
figcaption { color: #60646c; font-size: .85rem; }
"""


@dataclass(frozen=True)
class FrameFigures:
    """Figures of one frame.

    Attributes:
        index: Of the frame in its dataset.
        name: Of the frame.
        figures: ``pq``, ``accuracy`` or ``abs_rel``, what its labels allow.
    """

    index: int
    name: str
    figures: Results


def write_report(
    folder: Path,
    title: str,
    results: Results,
    frames: Sequence[FrameFigures],
    model: DepthLab,
    dataset: SampleDataset,
    *,
    count: int = 2,
    camera_height: float | None = None,
) -> Path:
    """Write the page.

    Args:
        folder: Where ``report.html`` is written; made if it does not exist.
        title: What was evaluated on what.
        results: Figures over all frames.
        frames: Figures by frame.
        model: Sees the best and the worst frames once more, for their pictures.
        dataset: Where these frames come from.
        count: How many best and how many worst frames to show by each figure.
        camera_height: What the figures were measured with, see ``DepthLab.predict``.
    """
    parts = [f"<h1>{html.escape(title)}</h1>", f"<p class='about'>{len(frames)} frames</p>"]
    parts += ["<div class='tables'>", *map(_table, page_tables(results)), "</div>"]
    for figure, (meaning, less_is_better) in _CHOSEN_BY.items():
        ranked = [frame for frame in frames if figure in frame.figures]
        ranked.sort(key=lambda frame: frame.figures[figure], reverse=not less_is_better)
        # A short dataset has no frame twice.
        worst = ranked[max(count, len(ranked) - count) :][::-1]
        for quality, chosen in (("Best", ranked[:count]), ("Worst", worst)):
            if chosen:
                parts.append(f"<h2>{quality} by {meaning}</h2>")
            parts += [_frame(frame, model, dataset, camera_height) for frame in chosen]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PAGE
    page = (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )
    path.write_text(page, encoding="utf-8")
    return path


def _table(table: PageTable) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in table.columns)
    if not any(table.columns):
        head = ""
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
        for row in table.rows
    )
    caption = f"<caption>{html.escape(table.title)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _frame(
    frame: FrameFigures, model: DepthLab, dataset: SampleDataset, camera_height: float | None
) -> str:
    sample = dataset[frame.index]
    prediction = model.predict(sample.image, sample.focal_length, camera_height)
    panels = draw_panels(sample, prediction, model.labels)
    figures = ", ".join(
        f"{_FRAME_FIGURES[name]} {value:.1%}" for name, value in frame.figures.items()
    )
    pictures = "".join(
        f"<figure class='{name}'><img alt='{name}' src='{_as_data(panels[name])}'>"
        f"<figcaption>{caption}</figcaption></figure>"
        for name, caption in _CAPTIONS.items()
        if name in panels
    )
    heading = f"<h3>{html.escape(frame.name)}: {figures}</h3>"
    return f"<div class='frame'>{heading}<div class='panels'>{pictures}</div></div>"


def _as_data(picture: Picture) -> str:
    height, width = picture.shape[:2]
    if width > _PANEL_WIDTH:
        size = (_PANEL_WIDTH, max(1, round(height * _PANEL_WIDTH / width)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    _, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88]
    )
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"
