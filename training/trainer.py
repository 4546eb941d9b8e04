# SPDX-License-Identifier: Apache-2.0
"""What is trained: network, optimiser and averages, and their way to and from disk."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from depthlab_core.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from depthlab_core.labels import CITYSCAPES
from depthlab_core.network import ModelOutput, PanopticDepthLab, build_network
from training.collective import Collective
from training.config import TrainConfig
from training.datasets.mixture import Example
from training.ema import ExponentialMovingAverage
from training.examples import batch_targets, normalise
from training.imagenet import load_imagenet_backbone
from training.label_groups import STREET_GROUPS
from training.losses import TASKS, BatchTargets, compute_losses
from training.messages import one_line
from training.optimizer import build_optimizer
from training.run_state import (
    FILE_NAME,
    RunStateError,
    changed_entries,
    load_run_state,
    save_atomically,
    unwritable,
)
from training.self_training import pseudo_label
from training.sync_norm import synchronise_norms
from training.task_weights import TaskWeights

logger = logging.getLogger("training")


class Trainer:
    """Network, optimiser and averaged weights of a run.

    Args:
        config: The run.
        device: Where it computes.
        collective: The processes that share it.
    """

    def __init__(
        self, config: TrainConfig, device: torch.device, collective: Collective | None = None
    ) -> None:
        self.config = config
        self.device = device
        self.collective = collective or Collective()
        self.output = Path(config.output)
        self.output.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.loop.seed)
        self.network = initial_network(config).to(device)
        if self.collective.world_size > 1 and config.loop.freeze_norm_after > 0:
            synchronise_norms(self.network, device)
        if config.loop.channels_last:
            self.network.to(memory_format=torch.channels_last)
        self.task_weights = TaskWeights(TASKS).to(device) if config.loss.learned_weights else None
        self.optimizer = build_optimizer(self.network, config.optimizer, self.task_weights)
        self.ema = None
        if config.loop.ema_decay > 0:
            self.ema = ExponentialMovingAverage(self.network, config.loop.ema_decay)
        self.step = 0
        self.seconds_used = 0.0
        self.parallel: nn.Module = self.network
        if self.collective.world_size > 1:
            devices = [self.collective.local_rank] if device.type == "cuda" else None
            self.parallel = DistributedDataParallel(self.network, device_ids=devices)

    def losses(self, batch: Example) -> tuple[Tensor, dict[str, Tensor]]:
        """Run the network on this process's part of a batch.

        Returns:
            What to minimise, and the single losses, each this process's share.
        """
        loop = self.config.loop
        batch = {key: value.to(self.device, non_blocking=True) for key, value in batch.items()}
        images = normalise(batch["image"], self.config.model.input)
        if loop.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=loop.autocast == "bfloat16"
        ):
            output: ModelOutput = self.parallel(images)
        losses = compute_losses(
            output,
            self._targets(batch),
            self.config.loss,
            STREET_GROUPS,
            CITYSCAPES.ignore_label,
            self.collective,
        )
        if self.task_weights is None:
            return torch.stack(list(losses.values())).sum(), losses
        return self.task_weights(losses, 1 / self.collective.world_size), losses

    def _targets(self, batch: Example) -> BatchTargets:
        targets, config = batch_targets(batch), self.config.self_training
        if config is None or self.step < config.start:
            return targets
        assert self.ema is not None  # the configuration's check
        plain = normalise(batch["plain_image"], self.config.model.input)
        return pseudo_label(targets, plain, self.ema.network, config, CITYSCAPES.ignore_label)

    def resume(self) -> None:
        """Go on from the saved state, if there is one.

        Raises:
            RunStateError: If it is damaged or of another network or optimiser.
        """
        path = self.output / FILE_NAME
        if not path.exists():
            return
        state = load_run_state(path, self.device)
        try:
            for change in changed_entries(state["config"], self.config.to_dict()):
                logger.warning("resumed with a changed configuration: %s", change)
            self.network.load_state_dict(state["network"])
            self._load_optimizer(state["optimizer"])
            if self.ema is not None:
                averaged = state["network"] if state["ema"] is None else state["ema"]
                self.ema.network.load_state_dict(averaged)
            if self.task_weights is not None and state.get("task_weights") is not None:
                self.task_weights.load_state_dict(state["task_weights"])
            self.step = int(state["step"])
            self.seconds_used = float(state.get("seconds_used", 0.0))
        except (RuntimeError, ValueError, KeyError) as error:
            reason = one_line(error)
            raise RunStateError(f"{path} does not fit this configuration: {reason}") from error
        logger.info("resumed at step %d", self.step)

    def _load_optimizer(self, state: dict[str, Any]) -> None:
        """Take over the moments, but the rates and decays of the present configuration."""
        settings = [
            {key: value for key, value in group.items() if key != "params"}
            for group in self.optimizer.param_groups
        ]
        self.optimizer.load_state_dict(state)
        for group, setting in zip(self.optimizer.param_groups, settings, strict=True):
            group.update(setting)

    def save(self) -> None:
        """Save the state of the run, and the weights as a checkpoint for inference.

        Raises:
            RunStateError: If the disk is full or cannot be written.
        """
        if self.collective.rank != 0:
            return
        weights = self.task_weights
        state = {
            "step": self.step,
            "seconds_used": self.seconds_used,
            "network": self.network.state_dict(),
            "ema": None if self.ema is None else self.ema.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "task_weights": None if weights is None else weights.state_dict(),
            "config": self.config.to_dict(),
        }
        save_atomically(state, self.output / FILE_NAME)
        network = self.network if self.ema is None else self.ema.network
        datasets = sorted(k for k, d in self.config.datasets.items() if d.weight > 0)
        path = self.output / "model.safetensors"
        try:
            save_checkpoint(
                path,
                network.state_dict(),
                self.config.model,
                CITYSCAPES,
                {"source": "training.train", "steps": self.step, "datasets": datasets},
            )
        except OSError as error:
            raise unwritable(path, error) from error
        logger.info("saved step %d in %s", self.step, self.output)


def initial_network(config: TrainConfig) -> PanopticDepthLab:
    """Build the network and give it the weights that the configuration names.

    Raises:
        RunStateError: If the named checkpoint cannot be loaded.
        ImageNetWeightsError: If ImageNet weights are wanted and cannot be had.
    """
    network = build_network(config.model.network)
    if config.init.checkpoint is not None:
        try:
            checkpoint = load_checkpoint(config.init.checkpoint)
            network.load_state_dict(checkpoint.network.state_dict())
        except (CheckpointError, RuntimeError) as error:
            raise RunStateError(f"init.checkpoint: {one_line(error)}") from error
    elif config.init.imagenet:
        load_imagenet_backbone(network)
    return network
