# SPDX-License-Identifier: Apache-2.0
"""Convolution blocks and atrous spatial pyramid pooling.

Submodules are named as in detectron2's layers, so that weights published for it load by name.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Conv(nn.Conv2d):
    """Convolution, then batch norm and ReLU where asked for; no bias where a norm follows.

    Padding keeps the size at stride 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        norm: bool = True,
        relu: bool = True,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            groups=groups,
            bias=not norm,
        )
        self.norm: nn.Module = nn.BatchNorm2d(out_channels) if norm else nn.Identity()
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        x = self.norm(super().forward(x))
        return F.relu(x) if self.relu else x


class SeparableConv(nn.Module):
    """Depthwise convolution, then a 1x1 one, each with batch norm and ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, *, dilation: int = 1
    ) -> None:
        super().__init__()
        self.depthwise = Conv(
            in_channels, in_channels, kernel_size, dilation=dilation, groups=in_channels
        )
        self.pointwise = Conv(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        out: Tensor = self.pointwise(self.depthwise(x))
        return out


def conv_pair(in_channels: int, channels: int, out_channels: int, *, separable: bool) -> nn.Module:
    """Return two 3x3 convolutions, or one separable 5x5 one, which sees as far."""
    if separable:
        return SeparableConv(in_channels, out_channels, 5)
    return nn.Sequential(Conv(in_channels, channels, 3), Conv(channels, out_channels, 3))


class ImagePool(nn.Module):
    """Average over the whole image or over a sliding window limited to the image.

    Args:
        window: Height and width of the window in pixels of the input; None: the whole image.
    """

    def __init__(self, window: tuple[int, int] | None) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        if self.window is None:
            return x.mean(dim=(2, 3), keepdim=True)
        # Plain numbers, and both strides: OpenVINO converts no other trace.
        height, width = (int(side) for side in x.shape[-2:])
        return F.avg_pool2d(x, limit_window(self.window, height, width), stride=(1, 1))


def limit_window(window: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """Return what an ``ImagePool`` with ``window`` averages over in ``height`` by ``width``."""
    return (min(window[0], height), min(window[1], width))


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling (DeepLabV3): five parallel branches, joined by a 1x1 conv.

    Input ``(B, in_channels, h, w)``, output ``(B, out_channels, h, w)``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        rates: tuple[int, ...],
        pool_window: tuple[int, int] | None,
        dropout: float,
        separable: bool,
    ) -> None:
        super().__init__()
        branches: list[nn.Module] = [Conv(in_channels, out_channels)]
        for rate in rates:
            if separable:
                branches.append(SeparableConv(in_channels, out_channels, 3, dilation=rate))
            else:
                branches.append(Conv(in_channels, out_channels, 3, dilation=rate))
        # No norm here: pooled to one pixel, a batch of one has no variance.
        pooled = nn.Sequential(ImagePool(pool_window), Conv(in_channels, out_channels, norm=False))
        self.convs = nn.ModuleList([*branches, pooled])
        self.project = Conv(len(self.convs) * out_channels, out_channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        branches = [conv(x) for conv in self.convs]
        branches[-1] = resize(branches[-1], x.shape[-2:])
        out: Tensor = self.dropout(self.project(torch.cat(branches, dim=1)))
        return out


def resize(x: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """Resize ``(B, C, h, w)`` to ``size`` bilinearly, pixel centres at half integers."""
    if x.shape[-2:] == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
