# SPDX-License-Identifier: Apache-2.0
"""The Panoptic-DepthLab network: one encoder and three decoders."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from depthlab_core.config import DepthConfig, NetworkConfig
from depthlab_core.decoder import Decoder, DenseHead, InstanceHead
from depthlab_core.efficientnet import EfficientNetLite0
from depthlab_core.model_zoo import MODELS
from depthlab_core.resnet import ResNet52

_INITIAL_DEPTH = 15.0
"""Metres that an untrained network with a log or bounded output answers."""


class ModelOutput(NamedTuple):
    """What the network says of a batch, on a grid of a quarter of the input's height and width.

    Attributes:
        semantic_logits: ``(B, num_classes, h, w)``.
        center_heatmap: ``(B, 1, h, w)``, 1 at an instance's centre.
        offset: ``(B, 2, h, w)``, (dy, dx) from a pixel to its instance's centre, in pixels of this
            grid.
        depth: ``(B, 1, h, w)``, along the camera's Z axis: metres, or metres of the canonical
            camera (``DepthConfig.canonical_focal_length``).
    """

    semantic_logits: Tensor
    center_heatmap: Tensor
    offset: Tensor
    depth: Tensor


class PanopticDepthLab(nn.Module):
    """Panoptic-DeepLab (Cheng et al., CVPR 2020) with a third decoder for depth.

    Attributes are named as in the published weights (detectron2's Panoptic-DeepLab).
    """

    def __init__(
        self,
        backbone: nn.Module,
        sem_seg_head: DenseHead,
        ins_embed_head: InstanceHead,
        depth_head: DenseHead,
        depth_config: DepthConfig,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.sem_seg_head = sem_seg_head
        self.ins_embed_head = ins_embed_head
        self.depth_head = depth_head
        self.depth_config = depth_config

    def forward(self, x: Tensor) -> ModelOutput:
        """Run the network.

        Args:
            x: Normalised images, float ``(B, 3, H, W)``, any size of 32 or more.

        Returns:
            Predictions on a grid of ``ceil(H / 4)`` by ``ceil(W / 4)`` pixels.
        """
        features = self.backbone(x)
        semantic_logits = self.sem_seg_head(features)
        center_heatmap, offset = self.ins_embed_head(features)
        depth = depth_from_channel(self.depth_head(features), self.depth_config)
        return ModelOutput(semantic_logits, center_heatmap, offset, depth)


def depth_from_channel(x: Tensor, config: DepthConfig) -> Tensor:
    """Turn the depth head's raw channel into metres, as ``DepthConfig.output`` says."""
    if config.output == "linear":
        return x
    if config.output == "bounded":
        return config.max_depth * torch.sigmoid(x)
    return torch.exp(x.clamp(math.log(config.min_depth), math.log(config.max_depth)))


def build_network(config: NetworkConfig | str) -> PanopticDepthLab:
    """Build a network with random weights.

    Args:
        config: A configuration, or the name of one: ``r52`` or ``lite0``.

    Raises:
        ValueError: If the name is unknown.
    """
    if isinstance(config, str):
        if config not in MODELS:
            raise ValueError(f"network: got {config!r}, expected one of {', '.join(MODELS)}")
        config = MODELS[config].network
    backbone: ResNet52 | EfficientNetLite0
    backbone = ResNet52() if config.backbone == "resnet52" else EfficientNetLite0()

    def decoder(which: str) -> Decoder:
        return Decoder(
            backbone.channels,
            getattr(config, which),
            atrous_rates=config.atrous_rates,
            aspp_pool_window=config.aspp_pool_window,
            dropout=config.dropout,
        )

    network = PanopticDepthLab(
        backbone,
        DenseHead(decoder("semantic"), config.semantic, config.num_classes),
        InstanceHead(decoder("instance"), config.instance),
        DenseHead(decoder("depth_decoder"), config.depth_decoder, 1),
        config.depth,
    )
    _start_depth(network)
    return network


def _start_depth(network: PanopticDepthLab) -> None:
    # From 1 m (exp 0) or half the range, the first thousand steps would only move this bias.
    config = network.depth_config
    bias = network.depth_head.predictor.bias
    assert bias is not None
    if config.output == "log":
        nn.init.constant_(bias, math.log(_INITIAL_DEPTH))
    elif config.output == "bounded":
        share = min(_INITIAL_DEPTH / config.max_depth, 0.5)
        nn.init.constant_(bias, math.log(share / (1 - share)))
