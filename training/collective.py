# SPDX-License-Identifier: Apache-2.0
"""Several processes working as one: which one this is, and sums over all of them.

``torchrun`` starts the processes; without it there is one, for which everything here is trivial.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Collective:
    """The processes of a run.

    Attributes:
        rank: Number of this process, 0 for the one that logs and saves.
        world_size: How many there are.
        local_rank: Number of this process on its machine, which is its GPU.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    def sum(self, value: Tensor) -> Tensor:
        """Sum a tensor over all processes; no gradient flows through."""
        if self.world_size == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    def any(self, flag: bool, device: torch.device) -> bool:
        """Return whether a flag is set in any process."""
        if self.world_size == 1:
            return flag
        return bool(self.sum(torch.tensor(float(flag), device=device)) > 0)

    def gather(self, values: Tensor) -> Tensor:
        """Concatenate the equally long 1-D tensors of all processes; no gradient flows through."""
        if self.world_size == 1:
            return values.detach()
        parts = [torch.empty_like(values) for _ in range(self.world_size)]
        dist.all_gather(parts, values.detach().contiguous())
        return torch.cat(parts)

    def complete(self, share: Tensor) -> Tensor:
        """Turn this process's share of a sum into the sum; its gradient is that of the share."""
        return share + (self.sum(share) - share).detach()

    def share(self, total: Tensor) -> Tensor:
        """Turn a completed value into a share: an even part of the value, all of its gradient."""
        return total - (total * (1 - 1 / self.world_size)).detach()


def join_processes(device_type: str) -> Collective:
    """Join the processes that ``torchrun`` started; without it, return a single one."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        return Collective()
    dist.init_process_group("nccl" if device_type == "cuda" else "gloo")
    return Collective(dist.get_rank(), world_size, int(os.environ.get("LOCAL_RANK", "0")))


def leave_processes(collective: Collective) -> None:
    """Undo ``join_processes``."""
    if collective.world_size > 1:
        dist.destroy_process_group()
