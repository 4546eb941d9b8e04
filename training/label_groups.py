# SPDX-License-Identifier: Apache-2.0
"""Label groups: one label of a coarse dataset that stands for any of several classes.

CamVid's "bicyclist" may be a rider or a bicycle. Such a pixel carries the id of a label group, and
its cross-entropy is the negative logarithm of the members' summed probability, so that the network
is free in what the label leaves open.
"""

from __future__ import annotations

import math
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
    # One gather for all of a pixel's classes: every further way from the loss back to the logits
    # would cost another tensor of their size.
    members, log_factors = _tables(groups, logits)
    picked = logits.gather(1, members[target].permute(0, 3, 1, 2))
    if members.shape[1] == 1:
        return picked.squeeze(1)
    return (picked + log_factors[target].permute(0, 3, 1, 2)).logsumexp(1)


def _tables(groups: tuple[LabelGroup, ...], logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return class ids and logarithms of factors, ``(256, N)``, of each value of the target."""
    count = max((len(group.members) for group in groups), default=1)
    members = torch.zeros(256, count, dtype=torch.int64)
    log_factors = torch.full((256, count), -math.inf, dtype=logits.dtype)
    classes = torch.arange(logits.shape[1])
    members[classes, 0] = classes
    log_factors[:, 0] = 0
    for group in groups:
        ids, factors = zip(*group.members, strict=True)
        members[group.id, : len(ids)] = torch.tensor(ids)
        log_factors[group.id, : len(ids)] = torch.tensor(factors, dtype=logits.dtype).log()
    return members.to(logits.device), log_factors.to(logits.device)
