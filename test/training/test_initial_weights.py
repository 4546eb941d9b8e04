# SPDX-License-Identifier: Apache-2.0
"""Initial weights, averages and parameter groups."""

from __future__ import annotations

import pytest
import timm
import torch

from depthlab_core.network import build_network
from training.config import OptimizerConfig
from training.ema import ExponentialMovingAverage
from training.imagenet import ImageNetWeightsError, load_imagenet_backbone
from training.optimizer import build_optimizer, set_learning_rate


def test_imagenet_weights_make_the_backbone_that_timm_classifies_with():
    network = build_network("lite0").eval()
    load_imagenet_backbone(network)
    # A filter bank that was trained has structure: its first layer's norm is far from a fresh one.
    state = network.backbone.state_dict()
    assert float(state["model.bn1.running_var"].std()) > 0
    classifier = timm.create_model("tf_efficientnet_lite0", features_only=True, output_stride=16)
    classifier.load_state_dict({k.removeprefix("model."): v for k, v in state.items()})
    x = torch.randn(1, 3, 64, 64)
    expected = classifier.eval()(x)
    torch.testing.assert_close(network.backbone(x)["res5"], expected[4])


def test_another_backbone_is_refused():
    with pytest.raises(ImageNetWeightsError, match="only EfficientNet-Lite0"):
        load_imagenet_backbone(build_network("r52"))


def test_averages_follow_weights_and_statistics():
    network = torch.nn.BatchNorm2d(2)
    average = ExponentialMovingAverage(network, decay=0.9)
    with torch.no_grad():
        network.weight += 1
        network.running_mean += 1
        network.num_batches_tracked += 3
    average.update(network, step=10_000)
    torch.testing.assert_close(average.network.weight, torch.full((2,), 1.1))
    torch.testing.assert_close(average.network.running_mean, torch.full((2,), 0.1))
    assert int(average.network.num_batches_tracked) == 3
    young = ExponentialMovingAverage(network, decay=0.9)
    with torch.no_grad():
        network.weight += 1
    young.update(network, step=0)
    torch.testing.assert_close(young.network.weight, torch.full((2,), 2.9))


def test_norms_are_not_decayed_and_the_backbone_has_its_own_rate():
    network = build_network("lite0")
    config = OptimizerConfig(
        name="adamw", lr=0.01, backbone_lr_factor=0.1, weight_decay=0.5, warmup_iterations=0
    )
    optimizer = build_optimizer(network, config)
    groups = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            groups[parameter] = group
    assert len(groups) == len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        group = groups[parameter]
        assert group["weight_decay"] == (0.5 if parameter.ndim > 1 else 0.0), name
        assert group["lr"] == pytest.approx(0.001 if name.startswith("backbone") else 0.01), name
    assert set_learning_rate(optimizer, 50, 100, config) == pytest.approx(0.01 * 0.5**0.9)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.001 * 0.5**0.9)
