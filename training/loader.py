# SPDX-License-Identifier: Apache-2.0
"""From the configuration's datasets to batches."""

from __future__ import annotations

import os

import cv2
from torch.utils.data import DataLoader

from depthlab_core.labels import CITYSCAPES
from training.config import ConfigError
from training.datasets.build import build_dataset, frames_together
from training.datasets.mixture import Example, MixedDataset, Mixture, StepSampler
from training.datasets.sample import DatasetError
from training.examples import ExampleMaker, warn_of_unused_depth
from training.scales import warn_of_other_scale
from training.style import StyleMixer
from training.trainer import Trainer


def build_loader(trainer: Trainer) -> DataLoader[Example]:
    """Open the datasets, mix them and load this process's part of the steps that are left.

    Raises:
        ConfigError: If the batch cannot be shared evenly.
        DatasetError: If files are missing.
    """
    config = trainer.config
    if config.loop.workers > 0:
        # Workers share the cores among themselves. Here, since a fork has no threads to stop.
        cv2.setNumThreads(1)
    used = {
        name: build_dataset(name, dataset)
        for name, dataset in config.datasets.items()
        if dataset.weight > 0 or name in {other.style_from for other in config.datasets.values()}
    }
    for name, dataset in config.datasets.items():
        if dataset.weight > 0:
            warn_of_other_scale(name, used[name], dataset, config.augment, config.model.input)
            # Streets, which are slow to draw, have one.
            if dataset.kind != "streets":
                warn_of_unused_depth(name, used[name], config.model.network.depth)

    def maker(style_from: str | None) -> ExampleMaker:
        style = None if style_from is None else StyleMixer(used[style_from], config.style)
        depth = config.model.network.depth
        keep_plain = config.self_training is not None
        return ExampleMaker(
            config.augment, config.targets, depth, CITYSCAPES, style, keep_plain=keep_plain
        )

    mixture = Mixture(
        {
            name: MixedDataset(
                used[name], dataset.weight, maker(dataset.style_from), frames_together(dataset)
            )
            for name, dataset in config.datasets.items()
            if dataset.weight > 0
        },
        batch_size=config.loop.batch_size,
        seed=config.loop.seed,
    )
    try:
        sampler = StepSampler(
            trainer.step,
            config.loop.iterations,
            config.loop.batch_size,
            passes=config.loop.accumulate,
            rank=trainer.collective.rank,
            world_size=trainer.collective.world_size,
        )
    except ValueError as error:
        raise ConfigError(f"loop.{error}") from error
    return DataLoader(
        mixture,
        batch_sampler=sampler,
        num_workers=config.loop.workers,
        pin_memory=trainer.device.type == "cuda",
        worker_init_fn=_leave_the_process_group,
    )


def message_of(error: DatasetError) -> str:
    """Return an error's message alone; a worker's comes with the whole traceback before it."""
    text = str(error)
    if not text.startswith("Caught DatasetError in DataLoader worker"):
        return text
    name = f"{DatasetError.__module__}.{DatasetError.__qualname__}: "
    return text.rpartition(f"\n{name}")[2].rstrip()


def _leave_the_process_group(worker: int) -> None:
    # Terminals and timeout signal the whole group, but the step that is under way still needs its
    # workers. They end with the main process.
    os.setpgid(0, 0)
