# SPDX-License-Identifier: Apache-2.0
"""Exponential moving average of a network's weights and statistics."""

from __future__ import annotations

import copy

import torch
from torch import nn


class ExponentialMovingAverage:
    """Keeps an averaged copy of a network.

    Args:
        network: The network that is trained.
        decay: Share of the old average that a step keeps; young averages keep less, so that the
            random start is soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Average in ``network`` after optimiser step ``step``, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        averaged, current = self.network.state_dict(), network.state_dict()
        is_float = [key for key, value in averaged.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [averaged[key] for key in is_float], [current[key] for key in is_float], 1 - decay
        )
        for key in averaged.keys() - set(is_float):
            averaged[key].copy_(current[key])
