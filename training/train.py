# SPDX-License-Identifier: Apache-2.0
"""The training loop.

``python -m training.train --config training/configs/NAME.yaml --set optimizer.lr=3e-4``, or with
``torchrun --nproc-per-node N -m training.train``: ``loop.batch_size`` is over all processes.
A run that was interrupted goes on when the same command is given again.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from depthlab_core.predictor import choose_device
from training.arguments import add_config
from training.board import Board
from training.budget import Budget
from training.collective import Collective, join_processes, leave_processes
from training.config import ConfigError, TrainConfig
from training.config_file import load_config
from training.datasets.mixture import Example
from training.datasets.sample import DatasetError
from training.final_report import report_run
from training.imagenet import ImageNetWeightsError
from training.loader import build_loader, message_of
from training.optimizer import set_learning_rate
from training.progress import Progress
from training.run_state import RunStateError, save_atomically
from training.stop_request import StopRequest
from training.trainer import Trainer

logger = logging.getLogger("training")


class LossNotFiniteError(Exception):
    """The loss is NaN or infinite; the batch lies beside the checkpoint."""


def train(
    config: TrainConfig, device: torch.device, collective: Collective | None = None
) -> Trainer:
    """Train until the configured step or time, or until a signal asks to stop.

    Raises:
        LossNotFiniteError: If the loss is NaN or infinite.
        DatasetError, ImageNetWeightsError, RunStateError: If files are missing or damaged.
    """
    if config.loop.threads is not None:
        torch.set_num_threads(config.loop.threads)
    trainer = Trainer(config, device, collective)
    trainer.resume()
    if trainer.collective.rank == 0:
        text = yaml.safe_dump(_yaml_ready(config.to_dict()), sort_keys=False)
        (trainer.output / "config.yaml").write_text(text, encoding="utf-8")
    loader = build_loader(trainer)
    board = Board(trainer)
    stop_request = StopRequest((signal.SIGTERM, signal.SIGINT), _tell_of_stopping)
    # Of the first process alone: the redirection would give the others a handler.
    redirected = [logging.getLogger()] if trainer.collective.rank == 0 else []
    with stop_request.listening() as stop, logging_redirect_tqdm(redirected):
        try:
            is_through = train_steps(trainer, loader, stop, board)
        except DatasetError:
            # A damaged file costs none of the steps before it.
            if trainer.step > 0:
                trainer.save()
            raise
        # Still listening: a second signal must not end what the first one asked for.
        trainer.save()
    if is_through:
        report_run(trainer, board)
    board.close()
    return trainer


def train_steps(
    trainer: Trainer, loader: DataLoader[Example], stop: StopRequest, board: Board
) -> bool:
    """Do the optimiser steps that are left; returns whether all are done."""
    config, collective = trainer.config, trainer.collective
    progress = Progress(trainer.step, config.loop.iterations, config.loop.batch_size)
    budget = Budget(config.loop.iterations, config.loop.minutes, trainer.seconds_used)
    # In a terminal; elsewhere the log's lines must do.
    bar = tqdm(
        initial=trainer.step,
        total=config.loop.iterations,
        unit="step",
        disable=True if trainer.collective.rank != 0 else None,
    )
    last_save = time.monotonic()
    batches = iter(loader)
    share = budget.share_done(trainer.step, collective, trainer.device)
    while share < 1 and not collective.any(stop.requested, trainer.device):
        # As many steps as there will be, as far as this can be told by now.
        planned = trainer.step / share if trainer.step > 0 else config.loop.iterations
        lr = set_learning_rate(trainer.optimizer, trainer.step, planned, config.optimizer)
        train_step(trainer, batches, progress, share)
        trainer.step += 1
        bar.update()
        share = budget.share_done(trainer.step, collective, trainer.device)
        is_last = share == 1
        trainer.seconds_used, progress.last_step = budget.seconds_used, round(planned)
        if trainer.step % config.loop.log_every == 0 or is_last:
            board.scalars(progress.scalars(trainer.step, lr))
            logger.info("%s", progress.line(trainer.step, lr))
        if trainer.step % config.loop.pictures_every == 0 or is_last:
            board.pictures()
        if time.monotonic() - last_save > 60 * config.loop.checkpoint_minutes:
            trainer.save()
            last_save = time.monotonic()
    bar.close()
    logger.info("%s", progress.summary(trainer.step))
    return share == 1


def train_step(
    trainer: Trainer, batches: Iterator[Example], progress: Progress, share_done: float
) -> None:
    """Do one optimiser step, with that share of the run behind it."""
    config, collective = trainer.config, trainer.collective
    trainer.network.train()
    if share_done >= config.loop.freeze_norm_after:
        _freeze_norm(trainer.network)
    # Dropout depends on the step alone: resuming needs no generator's state.
    torch.manual_seed(hash((config.loop.seed, trainer.step, collective.rank)))
    trainer.optimizer.zero_grad(set_to_none=True)
    for number in range(config.loop.accumulate):
        with progress.loading():
            batch = _next_batch(trainer, batches)
        is_last = number == config.loop.accumulate - 1
        with nullcontext() if is_last else _no_sync(trainer):
            total, losses = trainer.losses(batch)
            if not bool(torch.isfinite(total)):
                _stop_for_inspection(trainer, batch, losses)
            # Averaging over processes is undone: losses are shares already.
            scaled = total * collective.world_size / config.loop.accumulate
            scaled.backward()  # type: ignore[no-untyped-call]
        progress.add_losses({name: collective.sum(loss) for name, loss in losses.items()})
    if trainer.task_weights is not None:
        for parameter in trainer.task_weights.parameters():
            assert parameter.grad is not None
            parameter.grad = collective.sum(parameter.grad) / collective.world_size
    if config.optimizer.clip_norm is not None:
        torch.nn.utils.clip_grad_norm_(trainer.network.parameters(), config.optimizer.clip_norm)
    trainer.optimizer.step()
    if trainer.ema is not None:
        trainer.ema.update(trainer.network, trainer.step)


def _next_batch(trainer: Trainer, batches: Iterator[Example]) -> Example:
    """Load this process's part of a batch.

    Raises:
        DatasetError: In every process if one cannot: the first, which saves, would else wait for
            that one's gradients and be killed.
    """
    batch, failure = None, None
    try:
        batch = next(batches)
    except DatasetError as error:
        failure = error
    if trainer.collective.any(batch is None, trainer.device) or batch is None:
        raise failure or DatasetError("another process could not load its part of a batch")
    return batch


def _tell_of_stopping(name: str) -> None:
    logger.info("%s: saving and stopping after this step", name)


def _no_sync(trainer: Trainer) -> Any:
    if isinstance(trainer.parallel, DistributedDataParallel):
        return trainer.parallel.no_sync()
    return nullcontext()


def _stop_for_inspection(trainer: Trainer, batch: Example, losses: dict[str, Tensor]) -> None:
    path = trainer.output / f"bad_batch_rank{trainer.collective.rank}.pt"
    save_atomically({"step": trainer.step, "batch": batch}, path)
    values = ", ".join(f"{key} {float(value.detach())}" for key, value in losses.items())
    raise LossNotFiniteError(f"loss at step {trainer.step} ({values}); the batch is in {path}")


def _freeze_norm(network: torch.nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()


def _yaml_ready(value: Any) -> Any:
    """Turn tuples into lists, which is all that plain YAML knows."""
    if isinstance(value, dict):
        return {key: _yaml_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_yaml_ready(item) for item in value]
    return value


def _log_to(folder: Path, collective: Collective) -> None:
    handlers: list[logging.Handler] = [logging.NullHandler()]
    if collective.rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        handlers = [logging.StreamHandler(), logging.FileHandler(folder / "log.txt")]
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", handlers=handlers, force=True
    )
    # Each time that pictures are drawn it would tell by what they are.
    logging.getLogger("depthlab_core").setLevel(logging.WARNING)


def _device(name: str) -> torch.device:
    try:
        return choose_device(name)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def own_device(device: torch.device, collective: Collective) -> torch.device:
    """Return this process's GPU: that of its rank on the machine, unless it is alone and chose."""
    if device.type != "cuda" or (collective.world_size == 1 and device.index is not None):
        return device
    return torch.device("cuda", collective.local_rank)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    add_config(parser)
    default_device = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument(
        "--device",
        default=default_device,
        help="cuda, cuda:N or cpu (default: a GPU if there is one)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="look for mistakes in the arguments and in FILE, and stop; silent if there are none",
    )
    options = parser.parse_args(arguments)
    collective = Collective()
    try:
        config = load_config(options.config, options.set)
        device = _device(options.device)
        if options.check:
            return 0
        collective = join_processes(device.type)
        device = own_device(device, collective)
        if device.type == "cuda":
            torch.cuda.set_device(device)
            # All views have one size: the fastest of cuDNN's algorithms is looked for once.
            torch.backends.cudnn.benchmark = True
        try:
            _log_to(Path(config.output), collective)
        except OSError as error:
            raise ConfigError(
                f"output: got {config.output!r}, expected a folder that can be made and written "
                f"({error.strerror})"
            ) from error
        train(config, device, collective)
    except DatasetError as error:
        print(f"error: {message_of(error)}", file=sys.stderr)
        return 1
    except (
        ConfigError,
        ImageNetWeightsError,
        LossNotFiniteError,
        RunStateError,
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # not while there are steps to save, see StopRequest
        print("interrupted: the same command goes on", file=sys.stderr)
        return 128 + signal.SIGINT
    finally:
        leave_processes(collective)
    return 0


if __name__ == "__main__":
    sys.exit(main())
