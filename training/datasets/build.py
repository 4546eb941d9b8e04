# SPDX-License-Identifier: Apache-2.0
"""Datasets by configuration."""

from __future__ import annotations

from torch.utils.data import Subset

from training.config import DatasetConfig
from training.datasets.camvid import CamVid
from training.datasets.cityscapes_dvps import CityscapesDvps
from training.datasets.cityscapes_layout import CityscapesLayout
from training.datasets.drawn_streets import FRAMES_TOGETHER, DrawnStreets
from training.datasets.footage import Footage
from training.datasets.kitti_2015 import Kitti2015
from training.datasets.kitti_depth import KittiDepth
from training.datasets.lidar_frames import LidarFrames
from training.datasets.memory import InMemory
from training.datasets.partial import PartialLabels
from training.datasets.rare_classes import repeat_factors, repeat_frames, shown_classes
from training.datasets.sample import DatasetError, SampleDataset
from training.datasets.virtual_kitti import VirtualKitti

_FULLY_LABELLED = {
    "cityscapes": CityscapesLayout,
    "cityscapes_dvps": CityscapesDvps,
    "kitti_2015": Kitti2015,
    "virtual_kitti": VirtualKitti,
}
"""Those with panoptic labels and depth, either of which may be left out."""

WITHOUT_PARTS = ("footage", "lidar")
"""Those that are the same for every ``split``."""


def build_dataset(name: str, config: DatasetConfig) -> SampleDataset:
    """Open the dataset ``name``.

    Raises:
        DatasetError: If files are missing.
        ConfigError: If nothing says where it lies.
    """
    dataset: SampleDataset
    if config.kind == "camvid":
        dataset = CamVid(config.folder(name), config.split, config.pseudo_instance_weight)
    elif config.kind in _FULLY_LABELLED:
        dataset = _FULLY_LABELLED[config.kind](
            config.folder(name),
            config.split,
            load_panoptic=config.panoptic,
            load_depth=config.depth,
        )
    elif config.kind == "kitti_depth":
        dataset = KittiDepth(config.folder(name), config.split)
    elif config.kind == "lidar":
        dataset = LidarFrames(config.folder(name))
    elif config.kind == "footage":
        dataset = Footage(config.folder(name), config.every)
    else:
        dataset = DrawnStreets(config.split, config.frames, config.size, config.seed)
    used = range(len(dataset)) if config.only is None else config.only
    beyond = [number for number in used if not 0 <= number < len(dataset)]
    if beyond:
        raise DatasetError(
            f"datasets.{name}.only: got {beyond}, expected numbers from 0 to {len(dataset) - 1}"
        )
    factors = None
    if config.repeat_threshold > 0:
        factors = repeat_factors(shown_classes(dataset, used), config.repeat_threshold)
    if config.only is not None:
        dataset = Subset(dataset, config.only)  # type: ignore[arg-type]
    if config.max_width is not None or config.keep_in_memory:
        dataset = InMemory(dataset, config.max_width, keep=config.keep_in_memory)
    if factors is not None:
        dataset = repeat_frames(dataset, factors)
    if not (config.semantic and config.panoptic and config.depth):
        dataset = PartialLabels(dataset, config.semantic, config.panoptic, config.depth)
    return dataset


def frames_together(config: DatasetConfig) -> int:
    """Return how many neighbouring frames cost less when a batch takes its examples from them."""
    is_drawn = config.kind == "streets" and not config.keep_in_memory and config.only is None
    return FRAMES_TOGETHER if is_drawn else 1
