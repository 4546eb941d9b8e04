# SPDX-License-Identifier: Apache-2.0
"""What an ablation tries: its streets, its settings, its seeds and the figures of its table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from depthlab_core.strict_load import dataclass_from_dict, require
from training.arguments import SMALLEST_SIDE
from training.config import ConfigError
from training.config_file import with_overrides
from training.messages import one_line
from training.ranges import require_range

_SIDES = f"{SMALLEST_SIDE} or more each"

DATASET = "streets"
"""The dataset of the ablation's configuration that the generated streets are for."""


@dataclass(frozen=True)
class Streets:
    """Generated streets that all runs read.

    Attributes:
        size: Height and width, pixels.
        train, val: Number of frames of each part.
        seed: Which towns.
    """

    size: tuple[int, int] = (256, 512)
    train: int = 500
    val: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        require_range("streets", self, ("train", "val"), 1)
        require_range("streets", self, ("seed",), 0)
        require(min(self.size) >= SMALLEST_SIDE, "streets.size", self.size, _SIDES)


@dataclass(frozen=True)
class Ablation:
    """What to try.

    Attributes:
        streets: The frames.
        config: Of every run, as in a training configuration file.
        axes: Settings by the name of what they are of; a setting is a list of overrides
            ``a.b=value``. Every combination is tried.
        seeds: Values of ``loop.seed``.
        figures: Columns of the table, figures of ``training.evaluate`` on the streets, or with
            ``NAME:`` before it on another dataset of the configuration.
    """

    config: dict[str, Any]
    axes: dict[str, dict[str, tuple[str, ...]]]
    streets: Streets = field(default_factory=Streets)
    seeds: tuple[int, ...] = (0, 1, 2)
    figures: tuple[str, ...] = ("pq", "abs_rel", "dpq")

    def __post_init__(self) -> None:
        require(len(self.seeds) > 0, "seeds", self.seeds, "at least one")
        require(len(self.figures) > 0, "figures", self.figures, "at least one")

    def combinations(self) -> Iterator[tuple[str, ...]]:
        """Yield the names of the settings of each combination, one per axis."""
        yield from itertools.product(*self.axes.values())

    def overrides(self, combination: Sequence[str]) -> list[str]:
        """Return the overrides of a combination."""
        settings = zip(self.axes.values(), combination, strict=True)
        return [override for axis, name in settings for override in axis[name]]

    def reported(self) -> set[str]:
        """Return the names of the datasets that the figures are of."""
        return {figure.rpartition(":")[0] or DATASET for figure in self.figures}


def load_ablation(path: Path) -> Ablation:
    """Read an ablation, and check the configuration of every combination.

    Raises:
        ConfigError: If an entry is unknown, missing or wrong; the message names its path.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {one_line(error)}") from error
    try:
        ablation = dataclass_from_dict(Ablation, data, path.name)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    for combination in ablation.combinations():
        config = with_overrides(ablation.config, ablation.overrides(combination))
        datasets = config.datasets.items()
        known = {name for name, dataset in datasets if dataset.weight > 0 or dataset.validate}
        missing = ablation.reported() - known
        if missing:
            raise ConfigError(
                f"{path.name}.figures: got figures of {', '.join(sorted(missing))}, expected "
                f"datasets that {' / '.join(combination)} trains on or validates on"
            )
    return ablation
