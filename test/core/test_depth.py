# SPDX-License-Identifier: Apache-2.0
"""Focal length and depth."""

import math

import pytest
import torch

from depthlab_core.config import DepthConfig
from depthlab_core.depth import focal_length_from_fov, metric_scale
from depthlab_core.network import depth_from_channel


def test_focal_length_from_fov() -> None:
    assert focal_length_from_fov(1000, 90.0) == pytest.approx(500.0)
    assert focal_length_from_fov(640, 60.0) == pytest.approx(554.256, abs=1e-3)
    with pytest.raises(ValueError, match=r"horizontal_fov: got 180\.0, expected 0 to 180 degrees"):
        focal_length_from_fov(640, 180.0)


def test_metric_depth_scales_with_the_focal_length() -> None:
    canonical = DepthConfig(canonical_focal_length=500.0)
    assert metric_scale(canonical, focal_length=250.0) == 0.5
    assert metric_scale(DepthConfig(), focal_length=250.0) == 1.0


def test_depth_outputs() -> None:
    x = torch.tensor([-100.0, 0.0, 2.0, 100.0])
    assert depth_from_channel(x, DepthConfig("linear")).tolist() == x.tolist()
    bounded = depth_from_channel(x, DepthConfig("bounded", max_depth=88.0))
    torch.testing.assert_close(bounded, torch.tensor([0.0, 44.0, 88 / (1 + math.exp(-2)), 88.0]))
    log = depth_from_channel(x, DepthConfig("log", min_depth=0.5, max_depth=80.0))
    torch.testing.assert_close(log, torch.tensor([0.5, 1.0, math.exp(2), 80.0]))
