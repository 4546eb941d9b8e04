# SPDX-License-Identifier: Apache-2.0
"""Classes for frames that nobody labelled, from the averaged weights of the network in training.

The teacher sees the view without changes of colour, the network the changed one. Source: Mean
teacher (Tarvainen and Valpola, NeurIPS 2017), with the weights of DAFormer (Hoyer et al., CVPR
2022): an image counts by the share of its pixels of which the teacher is sure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from training.losses import BatchTargets, upsample
from training.ranges import require_range


@dataclass(frozen=True)
class SelfTrainingConfig:
    """How frames without class labels get some.

    Attributes:
        confidence: Least probability of a class that a pixel is given; surer pixels count.
        start: Optimiser step from which on there are pseudo-labels.
    """

    confidence: float = 0.968
    start: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise ValueError(
                f"self_training.confidence: got {self.confidence}, expected above 0, below 1"
            )
        require_range("self_training", self, ("start",), 0)


@torch.no_grad()
def pseudo_label(
    targets: BatchTargets,
    images: Tensor,
    teacher: nn.Module,
    config: SelfTrainingConfig,
    ignore_label: int = 255,
) -> BatchTargets:
    """Give classes to the images of a batch that have none.

    Args:
        targets: Of the batch; labelled images stay as they are.
        images: The network's input without changes of colour, float ``(B, 3, H, W)``.
        teacher: Averaged network, in evaluation mode.
        config: How sure it has to be.
        ignore_label: Semantic target of unlabelled pixels.
    """
    is_bare = (targets.semantic == ignore_label).flatten(1).all(1)
    if not bool(is_bare.any()):
        return targets
    logits = teacher(images[is_bare]).semantic_logits
    probability, label = upsample(logits, targets.semantic.shape[-2:]).softmax(1).max(1)
    is_sure = probability > config.confidence
    semantic, weight = targets.semantic.clone(), targets.semantic_weight.clone()
    semantic[is_bare] = torch.where(is_sure, label, ignore_label).to(semantic.dtype)
    share = is_sure.float().mean((1, 2), keepdim=True)
    weight[is_bare] = share.expand(-1, *semantic.shape[1:]).to(weight.dtype)
    return replace(targets, semantic=semantic, semantic_weight=weight)
