# SPDX-License-Identifier: Apache-2.0
"""Label groups: one label of a coarse dataset that stands for any of several classes.

CamVid's "bicyclist" may be a rider or a bicycle. Such a pixel carries the id of a label group, and
its cross-entropy is the negative logarithm of the members' summed probability, so that the network
is free in what the label leaves open.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

GROUP_BASE = 200
"""Semantic target ids from here to 254 are label groups; category ids lie below."""


@dataclass(frozen=True)
class LabelGroup:
    """A set of classes that one label may stand for.

    Attributes:
        id: Value in semantic targets, 200 to 254.
        members: Category ids with the factor, above 0 and at most 1, that their probability counts
            with; less than 1 prefers the other members.
    """

    id: int
    members: tuple[tuple[int, float], ...]


SIGN_OR_LIGHT = LabelGroup(200, ((7, 1.0), (6, 0.5)))
CAR_OR_LARGER = LabelGroup(201, ((13, 1.0), (14, 0.3), (15, 0.3)))
RIDER_OR_BICYCLE = LabelGroup(202, ((12, 1.0), (18, 1.0)))
STREET_GROUPS = (SIGN_OR_LIGHT, CAR_OR_LARGER, RIDER_OR_BICYCLE)
"""Groups over Cityscapes' classes that the coarse street datasets use."""


def target_logits(logits: Tensor, target: Tensor, groups: tuple[LabelGroup, ...]) -> Tensor:
    """Return the logit of the labelled class, or the log-sum-exp over the labelled group.

    Args:
        logits: float ``(B, C, H, W)``.
        target: Category or group ids, int64 ``(B, H, W)``; others give an arbitrary value.
        groups: The groups that may occur.

    Returns:
        float ``(B, H, W)``.
    """
    single = torch.where(target < logits.shape[1], target, torch.zeros_like(target))
    picked = logits.gather(1, single.unsqueeze(1)).squeeze(1)
    for group in groups:
        selected = target == group.id
        if not bool(selected.any()):
            continue
        ids = [category_id for category_id, _ in group.members]
        factors = logits.new_tensor([factor for _, factor in group.members])
        members = logits[:, ids] + factors.log().view(1, -1, 1, 1)
        picked = torch.where(selected, members.logsumexp(1), picked)
    return picked
