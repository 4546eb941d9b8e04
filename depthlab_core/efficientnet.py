# SPDX-License-Identifier: Apache-2.0
"""EfficientNet-Lite0 from timm, at output stride 16."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn


class EfficientNetLite0(nn.Module):
    """Encoder of ``lite0``: input ``(B, 3, H, W)``, output the features by name.

    ``res2`` ``(B, 24, H/4, W/4)``, ``res3`` ``(B, 40, H/8, W/8)``, ``res5``
    ``(B, 320, H/16, W/16)``; sizes are rounded up.
    """

    channels: ClassVar[dict[str, int]] = {"res2": 24, "res3": 40, "res5": 320}

    def __init__(self) -> None:
        super().__init__()
        # Here, since importing it takes seconds, which users of other backbones need not wait.
        import timm

        self.model = timm.create_model(
            "tf_efficientnet_lite0",
            pretrained=False,
            features_only=True,
            output_stride=16,
            out_indices=(1, 2, 4),
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:  # noqa: D102
        return dict(zip(self.channels, self.model(x), strict=True))
