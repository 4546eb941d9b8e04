# SPDX-License-Identifier: Apache-2.0
"""Reads a training configuration from YAML, strictly: what is unknown or wrong is an error."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from depthlab_core.config import ModelConfig
from depthlab_core.labels import CITYSCAPES
from depthlab_core.model_zoo import MODELS
from depthlab_core.strict_load import dataclass_from_dict
from training.arguments import SMALLEST_SIDE
from training.augment import AugmentConfig
from training.config import (
    ConfigError,
    DatasetConfig,
    InitConfig,
    LoopConfig,
    OptimizerConfig,
    TrainConfig,
)
from training.examples import TargetConfig
from training.losses import LossConfig
from training.messages import one_line
from training.ranges import require_range
from training.self_training import SelfTrainingConfig
from training.style import StyleConfig

_SECTIONS: dict[str, type[Any]] = {
    "init": InitConfig,
    "augment": AugmentConfig,
    "style": StyleConfig,
    "targets": TargetConfig,
    "loss": LossConfig,
    "optimizer": OptimizerConfig,
    "loop": LoopConfig,
    "self_training": SelfTrainingConfig,
}

_OPTIONAL = ("self_training",)
"""Sections that may be none."""


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a configuration file.

    Args:
        path: YAML. ``model.name`` names a model of the zoo; other entries of ``model`` replace
            parts of it.
        overrides: Replacements ``a.b=value``, the value in YAML.

    Raises:
        ConfigError: If an entry is unknown, missing or wrong; the message names its path.
    """
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {one_line(error)}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: got {type(data).__name__}, expected a mapping")
    return with_overrides(data, overrides)


def with_overrides(data: Mapping[str, Any], overrides: Sequence[str]) -> TrainConfig:
    """Build a configuration from nested mappings, some of their entries replaced.

    Args:
        data: As in a configuration file.
        overrides: See ``load_config``.

    Raises:
        ConfigError: If an entry is unknown, missing or wrong.
    """
    replaced = copy.deepcopy(dict(data))
    for override in overrides:
        _apply_override(replaced, override)
    return config_from_dict(replaced)


def config_from_dict(data: Mapping[str, Any]) -> TrainConfig:
    """Build a configuration from nested mappings, strictly.

    Raises:
        ConfigError: If an entry is unknown, missing or wrong.
    """
    known = ("model", "datasets", "output", *_SECTIONS)
    for key in data:
        if key not in known:
            raise ConfigError(f"{key}: unknown key, expected one of {', '.join(known)}")
    for key in ("model", "datasets"):
        if not isinstance(data.get(key), Mapping):
            raise ConfigError(f"{key}: got {data.get(key)!r}, expected a mapping")
    name = data["model"].get("name")
    if not isinstance(name, str) or name not in MODELS:
        raise ConfigError(f"model.name: got {name!r}, expected one of {', '.join(MODELS)}")
    output = data.get("output", "out/training")
    if not isinstance(output, str):
        raise ConfigError(f"output: got {output!r}, expected a path")
    try:
        sections = {
            key: dataclass_from_dict(cls, data[key], key)
            for key, cls in _SECTIONS.items()
            if key in data and not (data[key] is None and key in _OPTIONAL)
        }
        config = TrainConfig(
            model=dataclass_from_dict(
                ModelConfig, _merged(MODELS[name].to_dict(), data["model"]), "model"
            ),
            datasets={
                str(key): dataclass_from_dict(DatasetConfig, entry, f"datasets.{key}")
                for key, entry in data["datasets"].items()
            },
            output=output,
            **sections,
        )
        _check_datasets(config.datasets)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error
    _check_sections_together(config)
    return config


def _check_sections_together(config: TrainConfig) -> None:
    if config.model.network.num_classes != len(CITYSCAPES):
        raise ConfigError(
            f"model.network.num_classes: got {config.model.network.num_classes}, expected "
            f"{len(CITYSCAPES)}, as the labels have"
        )
    weights, classes = config.targets.class_weights, config.model.network.num_classes
    if weights is not None and len(weights) != classes:
        raise ConfigError(f"targets.class_weights: got {len(weights)} values, expected {classes}")
    if config.self_training is not None and config.loop.ema_decay == 0:
        raise ConfigError(
            "self_training: got loop.ema_decay 0, expected averaged weights to teach"
        )
    for key, dataset in config.datasets.items():
        if dataset.kind == "footage" and dataset.weight > 0 and config.self_training is None:
            raise ConfigError(
                f"datasets.{key}.weight: got {dataset.weight} for footage, which has no labels; "
                "expected 0 or a section self_training"
            )


def _check_datasets(datasets: Mapping[str, DatasetConfig]) -> None:
    if not any(dataset.weight > 0 for dataset in datasets.values()):
        raise ConfigError("datasets: none has a positive weight, expected at least one")
    for key, dataset in datasets.items():
        section = f"datasets.{key}"
        require_range(section, dataset, ("weight", "pseudo_instance_weight", "seed"), 0)
        require_range(section, dataset, ("frames", "every"), 1)
        if min(dataset.size) < SMALLEST_SIDE:
            raise ConfigError(
                f"datasets.{key}.size: got {dataset.size}, expected {SMALLEST_SIDE} or more each"
            )
        if dataset.only == ():
            raise ConfigError(f"datasets.{key}.only: got no numbers, expected at least one")
        if dataset.max_width is not None:
            require_range(section, dataset, ("max_width",), 1)
        if dataset.style_from is not None and dataset.style_from not in datasets:
            raise ConfigError(
                f"datasets.{key}.style_from: got {dataset.style_from!r}, expected one of "
                + ", ".join(datasets)
            )
        threshold = f"datasets.{key}.repeat_threshold"
        if not 0 <= dataset.repeat_threshold <= 1:
            raise ConfigError(
                f"{threshold}: got {dataset.repeat_threshold}, expected a share from 0 to 1"
            )
        if dataset.repeat_threshold > 0 and dataset.kind in ("streets", "footage"):
            raise ConfigError(
                f"{threshold}: got a dataset of kind {dataset.kind}, expected files with labels "
                "(training.streets.render writes streets)"
            )


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merged(merged[key], value)
        else:
            merged[key] = value
    return merged


def _apply_override(data: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    if not separator or not path:
        raise ConfigError(f"--set {override}: expected path.to.entry=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: the value is not YAML: {one_line(error)}") from error
    if isinstance(value, str):
        # YAML 1.1 takes 3e-4 (without a dot) for text.
        with contextlib.suppress(ValueError):
            value = float(value)
    *parents, last = path.split(".")
    node = data
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override}: {parent} is {child!r}, not a mapping")
        node = child
    node[last] = value
