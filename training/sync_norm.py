# SPDX-License-Identifier: Apache-2.0
"""Batch norm over the batches of all processes, on GPUs and, unlike torch's own, on CPUs."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.distributed as dist
from timm.layers.norm_act import BatchNormAct2d, convert_sync_batchnorm
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx


class CpuSyncBatchNorm(nn.BatchNorm2d):
    """What ``torch.nn.SyncBatchNorm`` is for GPUs; then dropout and activation, if it has them.

    All processes must have batches of the same size.
    """

    def __init__(self, source: nn.BatchNorm2d) -> None:
        super().__init__(source.num_features, eps=source.eps, momentum=source.momentum)
        self.to(source.weight.device, source.weight.dtype)
        self.load_state_dict(source.state_dict())
        self.then: tuple[Callable[[Tensor], Tensor], ...] = ()
        if isinstance(source, BatchNormAct2d):
            self.then = (source.drop, source.act)
        self.train(source.training)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        if not self.training:
            normalised = super().forward(x)
            return self._finish(normalised)
        total = x.numel() // x.shape[1] * dist.get_world_size()
        # In two passes: the difference of two large sums would lose the variance's digits.
        mean = _sum_over_processes(x.sum((0, 2, 3))) / total
        centered = x - mean[:, None, None]
        variance = _sum_over_processes(centered.square().sum((0, 2, 3))) / total
        self._update_statistics(mean.detach(), (variance * total / (total - 1)).detach())
        scale = (variance + self.eps).rsqrt() * self.weight
        return self._finish(centered * scale[:, None, None] + self.bias[:, None, None])

    def _finish(self, normalised: Tensor) -> Tensor:
        for follow in self.then:
            normalised = follow(normalised)
        return normalised

    def _update_statistics(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        momentum = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)
        self.num_batches_tracked += 1


class _SumOverProcesses(torch.autograd.Function):
    """Every process's sum depends on every process's summand, and so do the gradients."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _sum_over_processes(x: Tensor) -> Tensor:
    total: Tensor = _SumOverProcesses.apply(x)
    return total


def synchronise_norms(network: nn.Module, device: torch.device) -> None:
    """Replace every batch norm inside ``network`` by a synchronised one, keeping its state."""
    if device.type == "cuda":
        for name, child in network.named_children():
            setattr(network, name, convert_sync_batchnorm(child))  # type: ignore[no-untyped-call]
        return
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(network, name, CpuSyncBatchNorm(child))
        else:
            synchronise_norms(child, device)
