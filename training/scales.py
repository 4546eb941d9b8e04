# SPDX-License-Identifier: Apache-2.0
"""Whether training shows things at the size that prediction sees them at."""

from __future__ import annotations

import logging

from depthlab_core.config import InputConfig
from depthlab_core.preprocess import input_geometry
from training.augment import AugmentConfig
from training.config import DatasetConfig
from training.datasets.sample import SampleDataset

logger = logging.getLogger("training")


def warn_of_other_scale(
    name: str,
    dataset: SampleDataset,
    config: DatasetConfig,
    augment: AugmentConfig,
    model_input: InputConfig,
) -> None:
    """Log a warning if prediction enlarges frames more, or less, than training ever does.

    Args:
        name: Of the dataset.
        dataset: Its first frame stands for all.
        config: The dataset's; tells the size of streets, which are slow to draw.
        augment: At which scales training shows the frames.
        model_input: At which size prediction does.
    """
    height, width = config.size if config.kind == "streets" else dataset[0].image.shape[:2]
    base = augment.base_scale(height, width)
    low, high = (base * scale for scale in augment.scale)
    scale = input_geometry(height, width, model_input).input_width / width
    if not low <= scale <= high:
        logger.warning(
            "datasets.%s: prediction will scale its frames by %.2f (model.input.size), "
            "training by %.2f to %.2f (augment.scale)",
            name,
            scale,
            low,
            high,
        )
