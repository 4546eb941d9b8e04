# SPDX-License-Identifier: Apache-2.0
"""What a run is worth, at its end: an evaluation on each dataset's ``val`` part."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

from training.board import Board, current_model
from training.config import DatasetConfig
from training.datasets.build import build_dataset
from training.datasets.sample import DatasetError
from training.evaluate import evaluate
from training.report import write_report
from training.results_table import as_text
from training.trainer import Trainer

FOLDER = "report"
FIGURES = "figures.json"

logger = logging.getLogger("training")


def report_run(trainer: Trainer, board: Board) -> None:
    """Evaluate the present weights and write ``OUTPUT/report/DATASET``.

    A dataset without a ``val`` part is passed over. Only the first process does this.
    """
    limit = trainer.config.loop.report_frames
    if trainer.collective.rank != 0 or limit == 0:
        return
    model = current_model(trainer)
    for name, config in trainer.config.datasets.items():
        if config.weight == 0 and not config.validate:
            continue
        try:
            dataset = build_dataset(name, _validation(config))
            results, frames = evaluate(model, dataset, limit=limit)
        except DatasetError as error:
            logger.warning("no report on %s: %s", name, error)
            continue
        folder = trainer.output / FOLDER / name
        title = f"{model.name} after {trainer.step} steps on {name} val"
        page = write_report(folder, title, results, frames, model, dataset)
        text = json.dumps(results, indent=1) + "\n"
        (folder / FIGURES).write_text(text, encoding="utf-8")
        overall = {key: value for key, value in results.items() if "/" not in key}
        board.scalars({f"val_{name}/{key}": value for key, value in overall.items()})
        logger.info("%s: %s\n%s", title, page, as_text(results))


def _validation(config: DatasetConfig) -> DatasetConfig:
    """Return the dataset's ``val`` part with all of its labels, in its own size."""
    whole = replace(config, semantic=True, panoptic=True, depth=True)
    return replace(whole, split="val", max_width=config.max_width, keep_in_memory=False)
