# SPDX-License-Identifier: Apache-2.0
"""Focal length, disparity, depth."""

import math

import pytest
import torch

from depthlab_core.config import DepthConfig
from depthlab_core.depth import disparity_to_depth, focal_length_from_fov, metric_depth
from depthlab_core.network import depth_from_channel


def test_focal_length_from_fov() -> None:
    assert focal_length_from_fov(1000, 90.0) == pytest.approx(500.0)
    assert focal_length_from_fov(640, 60.0) == pytest.approx(554.256, abs=1e-3)


def test_metric_depth_scales_with_the_focal_length() -> None:
    depth = torch.tensor([2.0, 10.0])
    canonical = DepthConfig(canonical_focal_length=500.0)
    assert metric_depth(depth, canonical, focal_length=250.0).tolist() == [1.0, 5.0]
    assert metric_depth(depth, DepthConfig(), focal_length=250.0).tolist() == [2.0, 10.0]


def test_disparity_to_depth() -> None:
    disparity = torch.tensor([[64.0, 0.5, 0.0], [-1.0, math.nan, math.inf]])
    depth = disparity_to_depth(disparity, focal_length=2000.0, baseline=0.2)
    assert depth[0, :2].tolist() == [6.25, 800.0]
    assert depth.isnan().tolist() == [[False, False, True], [True, True, True]]
    with pytest.raises(ValueError, match=r"got 0\.0, 0\.2, expected positive"):
        disparity_to_depth(disparity, focal_length=0.0, baseline=0.2)


def test_depth_outputs() -> None:
    x = torch.tensor([-100.0, 0.0, 2.0, 100.0])
    assert depth_from_channel(x, DepthConfig("linear")).tolist() == x.tolist()
    bounded = depth_from_channel(x, DepthConfig("bounded", max_depth=88.0))
    torch.testing.assert_close(bounded, torch.tensor([0.0, 44.0, 88 / (1 + math.exp(-2)), 88.0]))
    log = depth_from_channel(x, DepthConfig("log", min_depth=0.5, max_depth=80.0))
    torch.testing.assert_close(log, torch.tensor([0.5, 1.0, math.exp(2), 80.0]))
