# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the core's tests."""

from pathlib import Path

import pytest
import torch

from depthlab_core import CITYSCAPES, DepthLab, build_network, save_checkpoint
from depthlab_core.model_zoo import MODELS


@pytest.fixture(scope="session")
def lite0_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a checkpoint of lite0 with fixed random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("checkpoint") / "random.safetensors"
    network = build_network("lite0")
    save_checkpoint(path, network.state_dict(), MODELS["lite0"], CITYSCAPES, {"seed": 0})
    return path


@pytest.fixture(scope="session")
def lite0(lite0_checkpoint: Path) -> DepthLab:
    """Load lite0 with fixed random weights on the CPU."""
    return DepthLab.load(lite0_checkpoint, device="cpu", backend="torch")
