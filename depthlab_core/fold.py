# SPDX-License-Identifier: Apache-2.0
"""Batch norms folded into the convolutions before them, for inference."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from depthlab_core.layers import Conv
from depthlab_core.network import PanopticDepthLab


def fold_batch_norms(network: PanopticDepthLab) -> PanopticDepthLab:
    """Return a copy of a network, in evaluation mode, that computes the same without batch norms.

    In evaluation a batch norm is a factor and a summand for each channel, which the weights and
    the bias of the convolution before it can take over.
    """
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        if isinstance(module, Conv) and isinstance(module.norm, nn.BatchNorm2d):
            _fold(module, module.norm)
            module.norm = nn.Identity()
            continue
        # timm's blocks list each convolution directly before its batch norm.
        previous: nn.Module | None = None
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d) and isinstance(previous, nn.Conv2d):
                _fold(previous, child)
                # Its batch norms hold the activation, too.
                activation = getattr(child, "act", None)
                setattr(module, name, activation or nn.Identity())
            previous = child
    return network


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight,
            conv.bias,
            norm.running_mean,
            norm.running_var,
            norm.eps,
            norm.weight,
            norm.bias,
        )
