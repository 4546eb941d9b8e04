# SPDX-License-Identifier: Apache-2.0
"""Task weights that are learned from the tasks' uncertainty (Kendall et al., CVPR 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TaskWeights(nn.Module):
    """Weighs losses by ``exp(-s)`` with a learned ``s`` each, plus ``s`` itself.

    Args:
        tasks: Names of the losses.
    """

    def __init__(self, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.log_variance = nn.ParameterDict({task: torch.zeros(()) for task in tasks})

    def forward(self, losses: dict[str, Tensor], share: float = 1.0) -> Tensor:
        """Return the weighted sum.

        Args:
            losses: By name of the task.
            share: Part of the batch that the losses are of.
        """
        terms = [
            torch.exp(-self.log_variance[task]) * loss + share * self.log_variance[task]
            for task, loss in losses.items()
        ]
        return torch.stack(terms).sum()
