# SPDX-License-Identifier: Apache-2.0
"""Losses of Panoptic-DepthLab.

All take predictions at the resolution of the targets, compute in float32 and mask by weights, so
that a batch in which nothing is labelled gives a zero that can be differentiated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from depthlab_core.network import ModelOutput
from training.collective import Collective
from training.label_groups import GROUP_BASE, LabelGroup, target_logits
from training.ranges import require_range

DepthLossName = Literal["l1", "inverse_l1", "log_l1", "relative_l1", "silog_relative"]
ALONE = Collective()

TASKS = ("semantic", "center", "offset", "depth")
"""Names of the losses."""

SMALLEST_DEPTH = 0.05
"""Metres below which logarithm and inverse of a predicted depth continue linearly."""


@dataclass(frozen=True)
class LossConfig:
    """Which losses, and how much each counts.

    Attributes:
        semantic, center, offset, depth: Factors of the four losses.
        hard_pixel_fraction: Share of the pixels of a batch, the hardest, that the semantic loss
            averages.
        count_unlabelled_images: Whether that share is of all images of a batch, as in the
            reference, or of those that have any semantic label: a batch of mixed datasets would
            otherwise weigh its labelled images by how few they are.
        depth_loss: ``l1`` in metres (the original), ``inverse_l1`` in 1/m, ``log_l1``,
            ``relative_l1``, which is AbsRel itself, or ``silog_relative``: scale-invariant log
            error plus relative error. Where depth is uncertain, ``log_l1`` learns its median, the
            last two something nearer than that.
        depth_gradient: Factor of the multi-scale gradient term of log depth; 0 switches it off.
        learned_weights: Whether the factors are adapted to the tasks' uncertainty on top.
    """

    semantic: float = 1.0
    center: float = 200.0
    offset: float = 0.01
    depth: float = 1.0
    hard_pixel_fraction: float = 0.2
    count_unlabelled_images: bool = True
    depth_loss: DepthLossName = "l1"
    depth_gradient: float = 0.0
    learned_weights: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.hard_pixel_fraction <= 1:
            raise ValueError(
                f"loss.hard_pixel_fraction: got {self.hard_pixel_fraction}, expected above 0 to 1"
            )
        require_range("loss", self, (*TASKS, "depth_gradient"), 0)


@dataclass(frozen=True)
class BatchTargets:
    """Targets of a batch, tensors on the training device.

    Attributes:
        semantic: Category or group ids, uint8 ``(B, H, W)``.
        semantic_weight: float ``(B, H, W)``.
        center_heatmap, center_weight: float ``(B, 1, H, W)``.
        offset: float ``(B, 2, H, W)``, pixels; ``offset_weight``: float ``(B, 1, H, W)``.
        depth: What the network's depth output should be, metres, float ``(B, H, W)``; 0 = none.
        depth_weight: float ``(B, H, W)``.
    """

    semantic: Tensor
    semantic_weight: Tensor
    center_heatmap: Tensor
    center_weight: Tensor
    offset: Tensor
    offset_weight: Tensor
    depth: Tensor
    depth_weight: Tensor


def compute_losses(
    output: ModelOutput,
    targets: BatchTargets,
    config: LossConfig,
    groups: tuple[LabelGroup, ...] = (),
    ignore_label: int = 255,
    collective: Collective = ALONE,
) -> dict[str, Tensor]:
    """Compute the four losses, factors applied; their sum is what is minimised.

    Args:
        output: The network's output at a quarter of the targets' resolution.
        targets: Targets of the batch.
        config: Losses and factors.
        groups: Label groups that may occur in the semantic target.
        ignore_label: Semantic target of unlabelled pixels.
        collective: The processes that share the batch. Losses are then this process's share of
            the whole batch's, and the sum of gradients over processes is the whole batch's.
    """
    size = targets.semantic.shape[-2:]
    scale = size[0] / output.offset.shape[-2]
    semantic_logits = upsample(output.semantic_logits, size)
    center_heatmap = upsample(output.center_heatmap, size)
    offset = upsample(output.offset, size) * scale
    depth = upsample(output.depth, size).squeeze(1)
    return {
        "semantic": config.semantic
        * hard_pixel_cross_entropy(
            semantic_logits,
            targets.semantic,
            targets.semantic_weight,
            fraction=config.hard_pixel_fraction,
            count_unlabelled_images=config.count_unlabelled_images,
            groups=groups,
            ignore_label=ignore_label,
            collective=collective,
        ),
        "center": config.center
        * weighted_mean(
            (center_heatmap - targets.center_heatmap).square(), targets.center_weight, collective
        ),
        "offset": config.offset
        * weighted_mean((offset - targets.offset).abs(), targets.offset_weight, collective),
        "depth": config.depth
        * depth_loss(depth, targets.depth, targets.depth_weight, config, collective),
    }


def hard_pixel_cross_entropy(
    logits: Tensor,
    target: Tensor,
    weight: Tensor,
    *,
    fraction: float = 0.2,
    count_unlabelled_images: bool = True,
    groups: tuple[LabelGroup, ...] = (),
    ignore_label: int = 255,
    collective: Collective = ALONE,
) -> Tensor:
    """Weighted cross-entropy, averaged over the hardest pixels of the whole batch.

    Unlabelled pixels count as pixels without loss. Source: DeepLabCE of Panoptic-DeepLab.

    Args:
        logits: float ``(B, C, H, W)``.
        target: Category or group ids, integers ``(B, H, W)``.
        weight: float ``(B, H, W)``.
        fraction: Share of the pixels to average.
        count_unlabelled_images: Whether images without any label count too.
        groups: Label groups that may occur.
        ignore_label: Target of unlabelled pixels.
        collective: See ``compute_losses``; the hardest pixels are those of all processes.
    """
    logits = logits.float()
    target = target.long()
    is_labelled = target != ignore_label
    has_group = target >= GROUP_BASE
    picked = target_logits(logits, target, groups if bool(has_group.any()) else ())
    loss = (logits.logsumexp(1) - picked) * weight * is_labelled
    flat = loss.flatten()
    counts = is_labelled.flatten(1).any(1) | count_unlabelled_images
    count = int(fraction * int(collective.sum(counts.sum())) * target[0].numel())
    return _sum_of_largest(flat, count, collective) / max(count, 1)


def depth_loss(
    depth: Tensor,
    target: Tensor,
    weight: Tensor,
    config: LossConfig,
    collective: Collective = ALONE,
) -> Tensor:
    """Depth loss over the pixels that have ground truth.

    Args:
        depth: Predicted metres, float ``(B, H, W)``.
        target: Metres, float ``(B, H, W)``; 0 = no measurement.
        weight: float ``(B, H, W)``: how much a pixel counts; in the gradient term all count alike.
        config: Which loss, and the factor of the gradient term.
        collective: See ``compute_losses``.
    """
    depth = depth.float()
    mask = (target > 0).float()
    truth = torch.where(target > 0, target, torch.ones_like(target))

    def mean(value: Tensor) -> Tensor:
        return weighted_mean(value, mask * weight, collective)

    if config.depth_loss == "l1":
        loss = mean((depth - target).abs())
    elif config.depth_loss == "inverse_l1":
        loss = mean((_safe_inverse(depth) - 1 / truth).abs())
    elif config.depth_loss == "log_l1":
        loss = mean((safe_log(depth) - truth.log()).abs())
    elif config.depth_loss == "relative_l1":
        loss = mean((depth - truth).abs() / truth)
    else:
        difference = safe_log(depth) - truth.log()
        square = collective.complete(mean(difference.square()))
        bias = collective.complete(mean(difference))
        # The epsilon stands inside the root, whose slope at 0 is infinite.
        silog = (square - 0.85 * bias.square()).clamp_min(0).add(1e-6).sqrt()
        has_truth = (collective.sum(mask.sum()) > 0).float()
        loss = has_truth * collective.share(silog) + mean((depth - truth).abs() / truth)
    if config.depth_gradient > 0:
        difference = safe_log(depth) - truth.log()
        loss = loss + config.depth_gradient * _gradient_loss(difference, mask, collective)
    return loss


def weighted_mean(value: Tensor, weight: Tensor, collective: Collective = ALONE) -> Tensor:
    """Return ``sum(value * weight) / sum(weight)``, or 0 where no weight is positive.

    ``weight`` may have fewer channels than ``value``: its sum counts pixels.
    """
    total = (value.float() * weight).sum()
    normaliser = collective.sum(weight.sum())
    return total / torch.where(normaliser > 0, normaliser, torch.ones_like(normaliser))


def _safe_inverse(depth: Tensor) -> Tensor:
    inverse = 1 / depth.clamp_min(SMALLEST_DEPTH)
    tangent = (2 - depth / SMALLEST_DEPTH) / SMALLEST_DEPTH
    return torch.where(depth > SMALLEST_DEPTH, inverse, tangent)


def safe_log(depth: Tensor) -> Tensor:
    """Logarithm that continues linearly below ``SMALLEST_DEPTH``, so that gradients never die."""
    tangent = depth / SMALLEST_DEPTH - 1
    logarithm = depth.clamp_min(SMALLEST_DEPTH).log()
    floor = torch.log(depth.new_tensor(SMALLEST_DEPTH))
    return torch.where(depth > SMALLEST_DEPTH, logarithm, floor + tangent)


def _gradient_loss(difference: Tensor, mask: Tensor, collective: Collective) -> Tensor:
    """Mean absolute gradient of the log difference, at four scales (MegaDepth, section 4.2)."""
    loss = difference.new_zeros(())
    for step in (1, 2, 4, 8):
        value, valid = difference[:, ::step, ::step], mask[:, ::step, ::step]
        vertical = (value[:, 1:] - value[:, :-1]).abs()
        horizontal = (value[:, :, 1:] - value[:, :, :-1]).abs()
        loss = loss + weighted_mean(vertical, valid[:, 1:] * valid[:, :-1], collective)
        loss = loss + weighted_mean(horizontal, valid[:, :, 1:] * valid[:, :, :-1], collective)
    return loss


def _sum_of_largest(values: Tensor, count: int, collective: Collective) -> Tensor:
    """Sum those values of this process that are among the ``count`` largest of all processes.

    Selection is much faster than ``topk``, which sorts.
    """
    everything = collective.gather(values)
    if count == 0:
        return values.sum() * 0
    if count == everything.numel():
        return values.sum()
    threshold = everything.kthvalue(everything.numel() - count + 1).values
    surplus = (everything >= threshold).sum() - count
    is_hard = values.detach() >= threshold
    return (values * is_hard).sum() - surplus * threshold / collective.world_size


def upsample(value: Tensor, size: torch.Size) -> Tensor:
    """Resize bilinearly, in float32, as the network's output is for its losses."""
    return functional.interpolate(value.float(), size=size, mode="bilinear", align_corners=False)
