# SPDX-License-Identifier: Apache-2.0
"""What a run is worth, at its end: an evaluation on another part of each dataset."""

from __future__ import annotations

import logging
from dataclasses import replace

from depthlab_core.predictor import DepthLab
from training.board import Board, current_model
from training.config import DatasetConfig
from training.datasets.build import WITHOUT_PARTS, build_dataset
from training.datasets.sample import DatasetError, SampleDataset
from training.evaluate import evaluate
from training.report import FrameFigures, write_report
from training.results_table import Results, as_text, write_json
from training.trainer import Trainer

FOLDER = "report"
FIGURES = "figures.json"

logger = logging.getLogger("training")


def report_run(trainer: Trainer, board: Board) -> None:
    """Evaluate the present weights and write ``OUTPUT/report/DATASET``.

    A dataset without that part is passed over. Only the first process does this.
    """
    limit, split = trainer.config.loop.report_frames, trainer.config.loop.report_split
    if trainer.collective.rank != 0 or limit == 0:
        return
    model = current_model(trainer)
    for name, config in trainer.config.datasets.items():
        if config.weight == 0 and not config.validate:
            continue
        try:
            dataset, results, frames = _evaluate(model, name, config, split, limit)
        except DatasetError as error:
            logger.warning("no report on %s: %s", name, error)
            continue
        folder = trainer.output / FOLDER / name
        title = f"{model.name} after {trainer.step} steps on {name} {split}"
        page = write_report(folder, title, results, frames, model, dataset)
        write_json(results, folder / FIGURES)
        overall = {key: value for key, value in results.items() if "/" not in key}
        board.scalars({f"{split}_{name}/{key}": value for key, value in overall.items()})
        logger.info("%s: %s\n%s", title, page, as_text(results))


def _evaluate(
    model: DepthLab, name: str, config: DatasetConfig, split: str, limit: int
) -> tuple[SampleDataset, Results, list[FrameFigures]]:
    """Evaluate on all labels that there are.

    Raises:
        DatasetError: If files are missing or damaged, other than those of kinds of labels that the
            run does without.
    """
    whole = _whole(config, split)
    used = replace(whole, panoptic=config.panoptic, depth=config.depth)
    try:
        dataset = build_dataset(name, whole)
        return dataset, *evaluate(model, dataset, limit=limit)
    except DatasetError:
        if used == whole:
            raise
        # Kinds of labels are switched off where nobody has their files, too.
        dataset = build_dataset(name, used)
        return dataset, *evaluate(model, dataset, limit=limit)


def _whole(config: DatasetConfig, split: str) -> DatasetConfig:
    """Return a part of the dataset with all of its labels, in its own size, each frame once."""
    return replace(
        config,
        split=split,
        semantic=True,
        panoptic=True,
        depth=True,
        # Numbers of frames mean nothing in another part, if there are parts.
        only=config.only if split == config.split or config.kind in WITHOUT_PARTS else None,
        repeat_threshold=0.0,
        max_width=None,
        keep_in_memory=False,
    )
