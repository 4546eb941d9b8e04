# SPDX-License-Identifier: Apache-2.0
"""What an image costs the loader, and how many loader processes a training step needs.

``python -m training.loader_cost --config training/configs/NAME.yaml --set a.b=VALUE``. Times are
of a CPU core, so that other work on the machine does not change them; on a GPU, a step's time is
what it takes there.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch.utils.data import default_collate

from depthlab_core.labels import CITYSCAPES
from depthlab_core.predictor import choose_device
from training.arguments import add_config, add_device, positive_int
from training.config import ConfigError, TrainConfig
from training.config_file import load_config
from training.datasets.build import build_dataset
from training.datasets.mixture import Example
from training.datasets.sample import DatasetError
from training.examples import ExampleMaker
from training.imagenet import ImageNetWeightsError
from training.run_state import RunStateError
from training.trainer import Trainer


@dataclass(frozen=True)
class ImageCost:
    """Milliseconds of one core that an image of a dataset takes.

    Attributes:
        read: To read or draw it the first time.
        read_again: To read or draw it once more; next to nothing with ``keep_in_memory``.
        example: To augment it and to make its targets.
    """

    read: float
    read_again: float
    example: float

    @property
    def lasting(self) -> float:
        """What it takes after the first pass over the dataset."""
        return self.read_again + self.example


def measure_images(config: TrainConfig, images: int) -> tuple[dict[str, ImageCost], list[Example]]:
    """Load some images of each dataset.

    Args:
        config: Its datasets, augmentation and targets.
        images: How many of each dataset.

    Returns:
        The cost by dataset, and the examples.

    Raises:
        ConfigError, DatasetError: If a dataset cannot be opened.
    """
    make = ExampleMaker(config.augment, config.targets, config.model.network.depth, CITYSCAPES)
    rng = np.random.default_rng(0)
    costs: dict[str, ImageCost] = {}
    examples: list[Example] = []
    for name, dataset_config in config.datasets.items():
        if dataset_config.weight == 0:
            continue
        dataset = build_dataset(name, dataset_config)
        indices = [index % len(dataset) for index in range(images)]
        # Libraries are loaded and kernels compiled with a frame that nothing keeps.
        make(build_dataset(name, replace(dataset_config, keep_in_memory=False))[0], rng)
        start = time.process_time()
        for index in indices:
            dataset[index]
        first = time.process_time()
        samples = [dataset[index] for index in indices]
        again = time.process_time()
        examples += [make(sample, rng) for sample in samples]
        end = time.process_time()
        times = np.diff([start, first, again, end]) * 1000 / images
        costs[name] = ImageCost(*times.tolist())
    return costs, examples


def measure_step(trainer: Trainer, examples: Sequence[Example], steps: int) -> float:
    """Return the milliseconds per image of forward pass, backward pass and optimiser."""
    is_cuda = trainer.device.type == "cuda"
    size = trainer.config.loop.batch_size // trainer.config.loop.accumulate
    batch = default_collate([examples[index % len(examples)] for index in range(size)])
    trainer.network.train()
    start = 0.0
    # The first step is for warming up.
    for number in range(steps + 1):
        if number == 1:
            start = _now(is_cuda)
        total, _ = trainer.losses(batch)
        total.backward()  # type: ignore[no-untyped-call]
        trainer.optimizer.step()
        trainer.optimizer.zero_grad(set_to_none=True)
    return 1000 * (_now(is_cuda) - start) / (steps * size)


def _now(is_cuda: bool) -> float:
    """Return seconds: of the CPU's work, or, once a GPU has done its own, of the clock."""
    if not is_cuda:
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def describe(config: TrainConfig, costs: dict[str, ImageCost], step: float) -> str:
    """Put the figures into lines.

    Args:
        config: Tells the weights of the datasets.
        costs: By dataset.
        step: Milliseconds per image of a training step.
    """
    lines = [f"{'ms per image':<18}{'read':>10}{'again':>10}{'example':>10}{'images/s':>10}"]
    for name, cost in costs.items():
        row = f"{name:<18}{cost.read:>10.1f}{cost.read_again:>10.1f}{cost.example:>10.1f}"
        lines.append(f"{row}{1000 / cost.lasting:>10.1f}")
    weights = [config.datasets[name].weight for name in costs]
    loading = float(np.average([cost.lasting for cost in costs.values()], weights=weights))
    lines += [
        f"a loader process gives {1000 / loading:.1f} images/s of the mixture",
        f"a training step takes {step:.1f} ms per image: {1000 / step:.1f} images/s",
        f"{math.ceil(loading / step)} loader process(es) keep up with it; with loop.workers=0 "
        f"loading is {loading / (loading + step):.1%} of the time",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.loader_cost", description=__doc__)
    add_config(parser)
    parser.add_argument(
        "--images", type=positive_int, default=40, help="of each dataset (default: %(default)s)"
    )
    parser.add_argument(
        "--steps",
        type=positive_int,
        default=2,
        help="training steps to time (default: %(default)s)",
    )
    add_device(parser)
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config, options.set)
        torch.set_num_threads(config.loop.threads or torch.get_num_threads())
        costs, examples = measure_images(config, options.images)
        with TemporaryDirectory() as folder:
            trainer = Trainer(replace(config, output=folder), choose_device(options.device))
            step = measure_step(trainer, examples, options.steps)
    except (ConfigError, DatasetError, ImageNetWeightsError, RunStateError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(describe(config, costs, step))
    return 0


if __name__ == "__main__":
    sys.exit(main())
