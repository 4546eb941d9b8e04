# SPDX-License-Identifier: Apache-2.0
"""Panoptic-DeepLab's decoder and the heads that end it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from depthlab_core.config import DecoderConfig
from depthlab_core.layers import ASPP, Conv, conv_pair, resize


class Decoder(nn.Module):
    """ASPP on res5, then twice: upsample, join the projected low-level feature, convolve.

    Input: the backbone's features by name. Output ``(B, channels, H/4, W/4)``.
    """

    def __init__(
        self,
        in_channels: dict[str, int],
        config: DecoderConfig,
        *,
        atrous_rates: tuple[int, ...],
        aspp_pool_window: tuple[int, int] | None,
        dropout: float,
    ) -> None:
        super().__init__()
        aspp = ASPP(
            in_channels["res5"],
            config.aspp_channels,
            rates=atrous_rates,
            pool_window=aspp_pool_window,
            dropout=dropout,
            separable=config.separable,
        )
        res3 = _Fusion(
            in_channels["res3"], config.low_level_channels[0], config.aspp_channels, config
        )
        res2 = _Fusion(in_channels["res2"], config.low_level_channels[1], config.channels, config)
        # The published weights' names: each stage under the feature that it takes.
        self.res2 = res2
        self.res3 = res3
        self.res5 = nn.ModuleDict({"project_conv": aspp})

    def forward(self, features: dict[str, Tensor]) -> Tensor:  # noqa: D102
        x = self.res5["project_conv"](features["res5"])
        x = self.res3(features["res3"], x)
        out: Tensor = self.res2(features["res2"], x)
        return out


class _Fusion(nn.Module):
    def __init__(self, low_level: int, projected: int, coarse: int, config: DecoderConfig) -> None:
        super().__init__()
        self.project_conv = Conv(low_level, projected)
        self.fuse_conv = conv_pair(
            projected + coarse, config.channels, config.channels, separable=config.separable
        )

    def forward(self, low_level: Tensor, coarse: Tensor) -> Tensor:
        projected = self.project_conv(low_level)
        coarse = resize(coarse, projected.shape[-2:])
        out: Tensor = self.fuse_conv(torch.cat([projected, coarse], dim=1))
        return out


class DenseHead(nn.Module):
    """One decoder with one prediction per pixel: the semantic head and the depth head.

    Output ``(B, out_channels, H/4, W/4)``.
    """

    def __init__(self, decoder: Decoder, config: DecoderConfig, out_channels: int) -> None:
        super().__init__()
        self.decoder = decoder
        self.head = _head(config)
        self.predictor = _predictor(config, out_channels)

    def forward(self, features: dict[str, Tensor]) -> Tensor:  # noqa: D102
        out: Tensor = self.predictor(self.head(self.decoder(features)))
        return out


class InstanceHead(nn.Module):
    """One decoder with two predictions per pixel: centre heatmap and offset to the centre.

    Output ``(B, 1, H/4, W/4)`` and ``(B, 2, H/4, W/4)``.
    """

    def __init__(self, decoder: Decoder, config: DecoderConfig) -> None:
        super().__init__()
        self.decoder = decoder
        self.center_head = _head(config)
        self.center_predictor = _predictor(config, 1)
        self.offset_head = _head(config)
        self.offset_predictor = _predictor(config, 2)

    def forward(self, features: dict[str, Tensor]) -> tuple[Tensor, Tensor]:  # noqa: D102
        x = self.decoder(features)
        center_heatmap: Tensor = self.center_predictor(self.center_head(x))
        offset: Tensor = self.offset_predictor(self.offset_head(x))
        return center_heatmap, offset


def _head(config: DecoderConfig) -> nn.Module:
    return conv_pair(
        config.channels, config.channels, config.head_channels, separable=config.separable
    )


class Predictor(nn.Conv2d):
    """The last 1×1 convolution of a head, in float32 under autocast, too.

    Half precision leaves its *output* too coarse: in bfloat16 the steps of log depth are 1.6 to
    3.1 % from 7 to 120 m, and those of offsets a quarter to half a pixel of the grid from 32 on.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: D102  (torch's name)
        kind = input.device.type
        # Without autocast nothing is added to what exporters see.
        if not torch.is_autocast_enabled(kind):
            return super().forward(input)
        with torch.autocast(kind, enabled=False):
            return super().forward(input.float())


def _predictor(config: DecoderConfig, out_channels: int) -> nn.Conv2d:
    predictor = Predictor(config.head_channels, out_channels, kernel_size=1)
    nn.init.normal_(predictor.weight, std=0.001)
    nn.init.zeros_(predictor.bias)  # type: ignore[arg-type]
    return predictor
