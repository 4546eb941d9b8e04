# SPDX-License-Identifier: Apache-2.0
"""The configuration of a training run, as frozen dataclasses; ``config_file`` reads it."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from depthlab_core.config import ModelConfig
from training.augment import AugmentConfig
from training.examples import TargetConfig
from training.losses import LossConfig
from training.ranges import require_range
from training.self_training import SelfTrainingConfig
from training.style import StyleConfig

DATA_VARIABLE = "DEPTHLAB_DATA"


class ConfigError(ValueError):
    """A configuration is wrong; the message names the path of the entry."""


@dataclass(frozen=True)
class DatasetConfig:
    """One dataset of the mixture.

    Attributes:
        kind: ``cityscapes`` for everything in Cityscapes' layout; ``lidar`` for real frames with
            LiDAR depth; ``streets`` for generated streets, drawn on the fly; ``footage`` for a
            video or a folder of images without labels; the others for the data sets of that name.
        root: Its folder, or the video; None: what has the dataset's name in ``$DEPTHLAB_DATA``.
        split: Which part to train on.
        weight: Share of the examples; 0 leaves the dataset out.
        validate: Whether the final report is about it although its weight is 0.
        semantic, panoptic, depth: Whether its labels of that kind are used.
        frames, size, seed: For ``streets``: how many frames, their height and width in pixels,
            and which towns.
        every: For ``footage``: 5 takes every fifth frame.
        only: Numbers of the frames to take; None: all.
        repeat_threshold: Frames with a class that less than this share of the frames show come
            more often (``training.datasets.rare_classes``); 0: all come alike. Not for
            ``streets``, whose frames would all be drawn to find out, nor ``footage``.
        pseudo_instance_weight: For ``camvid``: weight of guessed instances.
        max_width: Wider images are reduced to this width, pixels.
        keep_in_memory: Whether decoded frames are kept.
        style_from: Name of another dataset of the mixture, whose frames' style is mixed into
            these as the section ``style`` says; None: they stay as they are.
    """

    kind: Literal[
        "camvid",
        "cityscapes",
        "cityscapes_dvps",
        "kitti_2015",
        "kitti_depth",
        "virtual_kitti",
        "lidar",
        "streets",
        "footage",
    ]
    root: str | None = None
    split: str = "train"
    weight: float = 1.0
    validate: bool = False
    semantic: bool = True
    panoptic: bool = True
    depth: bool = True
    frames: int = 100_000
    size: tuple[int, int] = (256, 512)
    seed: int = 0
    every: int = 1
    only: tuple[int, ...] | None = None
    repeat_threshold: float = 0.0
    pseudo_instance_weight: float = 0.0
    max_width: int | None = None
    keep_in_memory: bool = False
    style_from: str | None = None

    def folder(self, name: str) -> Path:
        """Return the dataset's folder.

        Raises:
            ConfigError: If neither ``root`` nor the environment variable is set.
        """
        if self.root is not None:
            return Path(self.root).expanduser()
        if DATA_VARIABLE in os.environ:
            return Path(os.environ[DATA_VARIABLE]) / name
        raise ConfigError(
            f"datasets.{name}.root: missing; set it, or {DATA_VARIABLE} to the folder of all data"
        )


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser and its schedule.

    Attributes:
        name: ``adam`` or ``adamw``.
        lr: Base learning rate; ``backbone_lr_factor`` times it for the backbone.
        weight_decay: Not applied to norms and biases.
        clip_norm: Gradients are scaled down to this norm; None: never.
        warmup_iterations, warmup_factor, power: See ``warmup_poly_factor``.
    """

    name: Literal["adam", "adamw"] = "adam"
    lr: float = 1e-3
    backbone_lr_factor: float = 1.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    warmup_iterations: int = 1000
    warmup_factor: float = 0.001
    power: float = 0.9

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise ConfigError(f"optimizer.lr: got {self.lr}, expected a positive number")
        factors = ("backbone_lr_factor", "weight_decay", "warmup_factor", "power")
        require_range("optimizer", self, (*factors, "warmup_iterations"), 0)
        if self.clip_norm is not None and self.clip_norm <= 0:
            raise ConfigError(f"optimizer.clip_norm: got {self.clip_norm}, expected above 0")


@dataclass(frozen=True)
class LoopConfig:
    """The loop.

    Attributes:
        iterations: Optimiser steps.
        minutes: Time that the steps may take; None: as long as they take. Where it ends before
            ``iterations``, rates fall over it instead ("Budgeted training", Li et al., ICLR 2020).
        batch_size: Examples per step, over all processes.
        accumulate: Forward passes per step and process.
        seed: Of weights, draws and dropout.
        workers: Loader processes; 0 loads in the training process.
        threads: Threads of torch on the CPU; None leaves torch's choice.
        channels_last: Memory format of images and weights.
        autocast: ``bfloat16`` or none.
        ema_decay: Decay of the averaged weights, which are those that are exported; 0: none.
        freeze_norm_after: Share of the iterations after which batch norm keeps its statistics and
            trains as it predicts: 0 to 1, which is never.
        log_every: Steps between progress lines.
        checkpoint_minutes: Time between checkpoints.
        tensorboard: Whether losses and pictures are written for TensorBoard.
        pictures_every: Steps between pictures there; the last step has some too.
        report_frames: Frames of each dataset that the final report is about; 0: no report.
        report_split: Of which part they are; ``train`` asks what was learned by heart.
    """

    iterations: int = 90_000
    minutes: float | None = None
    batch_size: int = 32
    accumulate: int = 1
    seed: int = 0
    workers: int = 2
    threads: int | None = None
    channels_last: bool = True
    autocast: Literal["bfloat16"] | None = None
    ema_decay: float = 0.0
    freeze_norm_after: float = 1.0
    log_every: int = 20
    checkpoint_minutes: float = 10.0
    tensorboard: bool = True
    pictures_every: int = 500
    report_frames: int = 20
    report_split: str = "val"

    def __post_init__(self) -> None:
        if not 0 <= self.freeze_norm_after <= 1:
            raise ConfigError(
                f"loop.freeze_norm_after: got {self.freeze_norm_after}, expected 0 to 1"
            )
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"loop.ema_decay: got {self.ema_decay}, expected 0 or more, below 1")
        counts = ("iterations", "batch_size", "accumulate", "log_every", "pictures_every")
        require_range("loop", self, counts, 1)
        from_zero = ("seed", "workers", "checkpoint_minutes", "report_frames")
        require_range("loop", self, from_zero, 0)
        if self.threads is not None:
            require_range("loop", self, ("threads",), 1)
        if self.minutes is not None and self.minutes <= 0:
            raise ConfigError(f"loop.minutes: got {self.minutes}, expected a positive number")


@dataclass(frozen=True)
class InitConfig:
    """Where weights come from before the first step.

    Attributes:
        imagenet: Load ImageNet weights into the backbone (``lite0`` only).
        checkpoint: Path of a checkpoint to start from; overrides ``imagenet``.
    """

    imagenet: bool = False
    checkpoint: str | None = None


@dataclass(frozen=True)
class TrainConfig:
    """All of a training run."""

    model: ModelConfig
    datasets: dict[str, DatasetConfig]
    output: str = "out/training"
    init: InitConfig = field(default_factory=InitConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    style: StyleConfig = field(default_factory=StyleConfig)
    targets: TargetConfig = field(default_factory=TargetConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    self_training: SelfTrainingConfig | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration as nested dicts, complete."""
        return dataclasses.asdict(self)
