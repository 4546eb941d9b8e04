# SPDX-License-Identifier: Apache-2.0
"""Optimiser and learning rates."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import Optimizer

from depthlab_core.network import PanopticDepthLab
from training.config import OptimizerConfig
from training.schedule import warmup_poly_factor


def build_optimizer(
    network: PanopticDepthLab, config: OptimizerConfig, task_weights: nn.Module | None = None
) -> Optimizer:
    """Build the optimiser; the backbone and undecayed parameters have groups of their own."""
    groups = []
    for module, factor in _parts(network, config):
        decayed = [p for p in module.parameters() if p.ndim > 1]
        undecayed = [p for p in module.parameters() if p.ndim <= 1]
        for parameters, decay in ((decayed, config.weight_decay), (undecayed, 0.0)):
            lr = config.lr * factor
            groups.append({"params": parameters, "lr": lr, "base_lr": lr, "weight_decay": decay})
    if task_weights is not None:
        parameters = list(task_weights.parameters())
        groups.append(
            {"params": parameters, "lr": config.lr, "base_lr": config.lr, "weight_decay": 0.0}
        )
    if config.name == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr)
    return torch.optim.Adam(groups, lr=config.lr)


def set_learning_rate(
    optimizer: Optimizer, step: int, iterations: float, config: OptimizerConfig
) -> float:
    """Set the learning rates of step ``step`` and return that of the heads."""
    factor = warmup_poly_factor(
        step,
        max_iterations=iterations,
        warmup_iterations=config.warmup_iterations,
        warmup_factor=config.warmup_factor,
        power=config.power,
    )
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
    return config.lr * factor


def _parts(
    network: PanopticDepthLab, config: OptimizerConfig
) -> tuple[tuple[nn.Module, float], ...]:
    return (
        (network.backbone, config.backbone_lr_factor),
        (network.sem_seg_head, 1.0),
        (network.ins_embed_head, 1.0),
        (network.depth_head, 1.0),
    )
