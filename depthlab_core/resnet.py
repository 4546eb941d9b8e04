# SPDX-License-Identifier: Apache-2.0
"""ResNet-52: ResNet-50 with DeepLab's stem of three 3x3 convolutions, at output stride 16."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from depthlab_core.layers import Conv

_BLOCKS = {"res2": 3, "res3": 4, "res4": 6, "res5": 3}
_MULTI_GRID = (2, 4, 8)
"""Dilations of res5's blocks: multi-grid (1, 2, 4) times the 2 of output stride 16."""


class ResNet52(nn.Module):
    """Encoder of the original: input ``(B, 3, H, W)``, output the features by name.

    ``res2`` ``(B, 256, H/4, W/4)``, ``res3`` ``(B, 512, H/8, W/8)``, ``res5``
    ``(B, 2048, H/16, W/16)``; sizes are rounded up.
    """

    channels: ClassVar[dict[str, int]] = {"res2": 256, "res3": 512, "res5": 2048}

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Stem()
        in_channels, out_channels = 128, 256
        for name, count in _BLOCKS.items():
            blocks = []
            for index in range(count):
                halve = index == 0 and name in ("res3", "res4")
                dilation = _MULTI_GRID[index] if name == "res5" else 1
                blocks.append(
                    _Bottleneck(
                        in_channels, out_channels, stride=2 if halve else 1, dilation=dilation
                    )
                )
                in_channels = out_channels
            self.add_module(name, nn.Sequential(*blocks))
            out_channels *= 2

    def forward(self, x: Tensor) -> dict[str, Tensor]:  # noqa: D102
        x = self.stem(x)
        features = {}
        for name in _BLOCKS:
            x = getattr(self, name)(x)
            if name in self.channels:
                features[name] = x
        return features


class _Stem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = Conv(3, 64, 3, stride=2)
        self.conv2 = Conv(64, 64, 3)
        self.conv3 = Conv(64, 128, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv3(self.conv2(self.conv1(x)))
        return F.max_pool2d(x, kernel_size=3, stride=2, padding=1)


class _Bottleneck(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, *, stride: int, dilation: int) -> None:
        super().__init__()
        width = out_channels // 4
        self.shortcut: nn.Module = (
            nn.Identity()
            if in_channels == out_channels
            else Conv(in_channels, out_channels, stride=stride, relu=False)
        )
        self.conv1 = Conv(in_channels, width)
        self.conv2 = Conv(width, width, 3, stride=stride, dilation=dilation)
        self.conv3 = Conv(width, out_channels, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv3(self.conv2(self.conv1(x))) + self.shortcut(x))
