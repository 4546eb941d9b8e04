# SPDX-License-Identifier: Apache-2.0
"""Losses, gradients and batch norm shared by two processes equal those of one."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from depthlab_core.model_zoo import MODELS
from depthlab_core.network import ModelOutput, build_network
from training.collective import Collective, join_processes, leave_processes
from training.losses import BatchTargets, LossConfig, compute_losses
from training.sync_norm import synchronise_norms

ROOT = Path(__file__).parents[2]
DEPTH_LOSSES = ("l1", "inverse_l1", "log_l1", "relative_l1", "silog_relative")


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 8, 3, padding=1, bias=False), torch.nn.BatchNorm2d(8)]
    layers += [torch.nn.ReLU(), torch.nn.Conv2d(8, 23, 1)]
    return torch.nn.Sequential(*layers)


def batch() -> tuple[torch.Tensor, BatchTargets]:
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator)

    semantic = torch.randint(0, 19, (4, 16, 24), generator=generator).to(torch.uint8)
    # Processes must not have equally many labels.
    semantic[0, :9] = 255
    semantic[1] = 255
    depth = random(4, 16, 24) * 30 + 1
    depth[2:, :12] = 0
    center_weight = (random(4, 1, 16, 24) > 0.3).float()
    center_weight[3] = 0
    return random(4, 3, 4, 6), BatchTargets(
        semantic=semantic,
        semantic_weight=1 + 2 * random(4, 16, 24).round(),
        center_heatmap=random(4, 1, 16, 24),
        center_weight=center_weight,
        offset=random(4, 2, 16, 24) * 20 - 10,
        offset_weight=center_weight,
        depth=depth,
        depth_weight=random(4, 16, 24),
    )


def gradients(collective: Collective, name: str) -> list[torch.Tensor]:
    """Gradients of all parameters, summed over processes."""
    model = network()
    if collective.world_size > 1:
        synchronise_norms(model, torch.device("cpu"))
    images, targets = batch()
    share = len(images) // collective.world_size
    part = slice(collective.rank * share, (collective.rank + 1) * share)
    raw = model(images[part])
    output = ModelOutput(raw[:, :19], raw[:, 19:20], raw[:, 20:22], raw[:, 22:].exp())
    targets = BatchTargets(**{key: value[part] for key, value in vars(targets).items()})
    config = LossConfig(depth_loss=name, depth_gradient=0.3)
    losses = compute_losses(output, targets, config, collective=collective)
    torch.stack(list(losses.values())).sum().backward()
    summed = [collective.sum(value.detach()) for value in losses.values()]
    summed += [collective.sum(parameter.grad) for parameter in model.parameters()]
    return [*summed, *(b for b in model.buffers() if b.is_floating_point())]


def lite0_gradients(collective: Collective) -> list[torch.Tensor]:
    """Gradients of the real network through DistributedDataParallel, in float64.

    With random weights, float32's rounding grows to a percent on the way back to the stem: that
    would be a test of rounding. Dropout would draw other masks in each process.
    """
    torch.manual_seed(0)
    config = dataclasses.replace(MODELS["lite0"].network, dropout=0.0)
    model = build_network(config).double().train()
    parallel: torch.nn.Module = model
    if collective.world_size > 1:
        synchronise_norms(model, torch.device("cpu"))
        parallel = DistributedDataParallel(model)
    images = torch.randn(2, 3, 32, 64, generator=torch.Generator().manual_seed(1)).double()
    share = len(images) // collective.world_size
    output = parallel(images[collective.rank * share : (collective.rank + 1) * share])
    torch.stack([part.square().mean() for part in output]).sum().backward()
    # In processes of equal shares, the mean of their gradients is that of the mean.
    return [parameter.grad for parameter in model.parameters()]


@pytest.fixture(scope="module")
def two_processes() -> dict[str, list]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    result = subprocess.run(
        [sys.executable, *launcher, __file__],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=240,
    )
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("{"))
    return json.loads(line)


@pytest.mark.parametrize("name", DEPTH_LOSSES)
def test_losses_and_gradients_equal_those_of_one_process(two_processes, name):
    for shared, alone in zip(two_processes[name], gradients(Collective(), name), strict=True):
        difference = float((torch.tensor(shared) - alone.detach()).norm())
        assert difference <= 1e-5 * float(alone.detach().norm()) + 1e-7


def test_lite0_learns_the_same_in_two_processes(two_processes):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the two processes have
    alone = lite0_gradients(Collective())
    torch.set_num_threads(threads)
    largest = max(float(gradient.norm()) for gradient in alone)
    for shared, gradient in zip(two_processes["lite0"], alone, strict=True):
        # Of a large gradient its norm and its sum, so that the output stays small.
        summary = [float(gradient.norm()), float(gradient.sum())]
        assert shared == pytest.approx(summary, rel=1e-9, abs=1e-10 * largest)


if __name__ == "__main__":
    processes = join_processes("cpu")
    everything = {n: [t.tolist() for t in gradients(processes, n)] for n in DEPTH_LOSSES}
    everything["lite0"] = [[float(g.norm()), float(g.sum())] for g in lite0_gradients(processes)]
    if processes.rank == 0:
        print(json.dumps(everything))
    leave_processes(processes)
