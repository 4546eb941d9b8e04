# SPDX-License-Identifier: Apache-2.0
"""What TensorBoard shows of a run: losses, learning rate, speed, and pictures of a few frames."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from depthlab_core.checkpoint import Checkpoint
from depthlab_core.labels import CITYSCAPES
from depthlab_core.network import build_network
from depthlab_core.predictor import DepthLab
from training.datasets.build import build_dataset
from training.pictures import draw_panels
from training.trainer import Trainer

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"

logger = logging.getLogger("training")


class Board:
    """Writes a run's progress into ``OUTPUT/tensorboard``; only the first process does.

    Args:
        trainer: The run.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._writer: SummaryWriter | None = None
        if trainer.collective.rank == 0 and trainer.config.loop.tensorboard:
            self._writer = _open_writer(trainer)

    def scalars(self, values: Mapping[str, float]) -> None:
        """Write values of the present step."""
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, self._trainer.step)

    def pictures(self) -> None:
        """Write input, segments, depth, depth error and truth of each dataset's first frame."""
        if self._writer is None:
            return
        trainer = self._trainer
        model = current_model(trainer)
        for name, config in trainer.config.datasets.items():
            if config.weight > 0:
                sample = build_dataset(name, config)[0]
                prediction = model.predict(sample.image, sample.focal_length)
                for panel, picture in draw_panels(sample, prediction, model.labels).items():
                    self._writer.add_image(
                        f"{name}/{panel}", picture, trainer.step, dataformats="HWC"
                    )

    def close(self) -> None:
        """Write out what is left."""
        if self._writer is not None:
            self._writer.close()


def _open_writer(trainer: Trainer) -> SummaryWriter | None:
    try:
        # Here, because a run without curves should need no TensorBoard.
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        logger.warning("no TensorBoard (%s): pip install -r requirements/training.txt", error)
        return None
    # Steps after the last checkpoint of a killed run are done again: hide their first values.
    return SummaryWriter(str(trainer.output / FOLDER), purge_step=trainer.step + 1)


def current_model(trainer: Trainer) -> DepthLab:
    """Return the present (averaged) weights as a model for inference; training is left alone."""
    network = build_network(trainer.config.model.network)
    averaged = trainer.network if trainer.ema is None else trainer.ema.network
    network.load_state_dict(averaged.state_dict())
    checkpoint = Checkpoint(
        network=network.eval(),
        config=trainer.config.model,
        labels=CITYSCAPES,
        provenance={},
    )
    return DepthLab(checkpoint, str(trainer.device), backend="torch")
