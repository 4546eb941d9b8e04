# SPDX-License-Identifier: Apache-2.0
"""What is added to a trained network's class logits, so that no class is named too readily."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from depthlab_core.labels import CITYSCAPES

CLASS_BIAS = "sem_seg_head.predictor.bias"
"""Of the classes' logits, in a network's state dict."""


def undo_loss_weights(targets: Mapping[str, Any], share: float) -> Tensor:
    """Return float32 ``(C,)``: what to add to each class's logit against the loss's weights.

    A class whose pixels weigh w times as much is named where it is 1 / w as likely as another.
    Weights help to learn rare classes; afterwards the logarithm of w, or a share of it, is taken
    back (logit adjustment, Menon et al., ICLR 2021). Classes of weight 0 stay as they are.

    Args:
        targets: The run's ``targets``: ``class_weights``, and ``small_instance_weight`` of things.
        share: Of the logarithm, 0 to 1.
    """
    weights = torch.ones(len(CITYSCAPES))
    if targets.get("class_weights") is not None:
        weights = torch.tensor(targets["class_weights"], dtype=torch.float32)
    weights[list(CITYSCAPES.thing_ids)] *= targets["small_instance_weight"]
    return -share * weights.where(weights > 0, 1.0).log()
