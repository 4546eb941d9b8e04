# SPDX-License-Identifier: Apache-2.0
"""Losses equal the reference's, mask what is unlabelled and keep gradients finite."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from depthlab_core.network import ModelOutput
from training.label_groups import (
    CAR_OR_LARGER,
    RIDER_OR_BICYCLE,
    SIGN_OR_LIGHT,
    STREET_GROUPS,
    target_logits,
)
from training.losses import (
    BatchTargets,
    LossConfig,
    compute_losses,
    depth_loss,
    hard_pixel_cross_entropy,
    safe_log,
    weighted_mean,
)

DATA = Path(__file__).parent / "data"
DEPTH_LOSSES = ("l1", "inverse_l1", "log_l1", "relative_l1", "silog_relative")


@pytest.fixture(scope="module")
def reference():
    with np.load(DATA / "panoptic_deeplab_losses.npz") as arrays:
        tensors = {k: torch.from_numpy(v) for k, v in arrays.items() if v.dtype.kind != "U"}
        expected = json.loads(str(arrays["expected"]))
    output = ModelOutput(*(tensors[k] for k in ("sem_pred", "cen_pred", "off_pred", "dep_pred")))
    targets = BatchTargets(
        semantic=tensors["sem_tgt"],
        semantic_weight=tensors["sem_w"],
        center_heatmap=tensors["cen_tgt"],
        center_weight=tensors["cen_w"],
        offset=tensors["off_tgt"],
        offset_weight=tensors["off_w"],
        depth=tensors["dep_tgt"],
        depth_weight=torch.ones_like(tensors["dep_tgt"]),
    )
    return output, targets, expected


def random_output(batch=2, height=4, width=6):
    generator = torch.Generator().manual_seed(0)
    shapes = [(batch, channels, height, width) for channels in (19, 1, 2, 1)]
    return ModelOutput(
        *(torch.randn(shape, generator=generator).requires_grad_() for shape in shapes)
    )


def unlabelled_targets(batch=2, height=16, width=24):
    def zeros(channels):
        return torch.zeros(batch, channels, height, width)

    return BatchTargets(
        semantic=torch.full((batch, height, width), 255, dtype=torch.uint8),
        semantic_weight=torch.ones(batch, height, width),
        center_heatmap=zeros(1),
        center_weight=zeros(1),
        offset=zeros(2),
        offset_weight=zeros(1),
        depth=torch.zeros(batch, height, width),
        depth_weight=torch.ones(batch, height, width),
    )


def test_losses_equal_the_reference(reference):
    output, targets, expected = reference
    losses = compute_losses(output, targets, LossConfig())
    assert float(losses["semantic"]) == pytest.approx(expected["loss_sem_seg"], rel=1e-5)
    assert float(losses["center"]) == pytest.approx(expected["loss_center"], rel=1e-5)
    assert float(losses["offset"]) == pytest.approx(expected["loss_offset"], rel=1e-5)
    assert float(losses["depth"]) == pytest.approx(expected["loss_depth"], rel=1e-5)


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.9, 1.0])
def test_hard_pixels_equal_a_plain_selection(reference, fraction):
    _, targets, _ = reference
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 19, 64, 96, generator=generator, requires_grad=True)
    loss = hard_pixel_cross_entropy(
        logits, targets.semantic, targets.semantic_weight, fraction=fraction
    )
    (gradient,) = torch.autograd.grad(loss, logits)
    plain = torch.nn.functional.cross_entropy(
        logits, targets.semantic.long(), ignore_index=255, reduction="none"
    )
    plain = (plain * targets.semantic_weight).flatten()
    plain = plain.topk(int(fraction * plain.numel())).values.mean()
    (plain_gradient,) = torch.autograd.grad(plain, logits)
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(gradient, plain_gradient)


def test_images_without_semantic_labels_count_only_if_asked(reference):
    targets = reference[1]
    one = hard_pixel_cross_entropy(
        torch.ones(1, 19, 64, 96),
        targets.semantic[:1],
        targets.semantic_weight[:1],
        fraction=1.0,
    )
    semantic = targets.semantic.clone()
    semantic[1] = 255
    both, labelled = (
        hard_pixel_cross_entropy(
            torch.ones(2, 19, 64, 96),
            semantic,
            targets.semantic_weight,
            fraction=1.0,
            count_unlabelled_images=counts,
        )
        for counts in (True, False)
    )
    torch.testing.assert_close(both, one / 2)
    torch.testing.assert_close(labelled, one)


@pytest.mark.parametrize("name", DEPTH_LOSSES)
def test_nothing_labelled_gives_zero_losses_and_gradients(name):
    output = random_output()
    config = LossConfig(depth_loss=name, depth_gradient=0.5)
    losses = compute_losses(output, unlabelled_targets(), config)
    assert [float(value.detach()) for value in losses.values()] == [0, 0, 0, 0]
    sum(losses.values()).backward()
    for tensor in output:
        assert not tensor.grad.any()


@pytest.mark.parametrize("name", DEPTH_LOSSES)
def test_depth_losses_are_zero_at_the_truth_and_ignore_holes(name):
    truth = torch.rand(2, 16, 24) * 50 + 2
    target = truth.clone()
    target[:, ::2] = 0
    prediction = truth.clone()
    prediction[:, ::2] = 1e4
    prediction.requires_grad_()
    config = LossConfig(depth_loss=name)
    loss = depth_loss(prediction, target, torch.ones_like(target), config)
    (gradient,) = torch.autograd.grad(loss, prediction)
    # SILog keeps the square root of its epsilon.
    assert float(loss.detach()) == pytest.approx(0, abs=1.1e-3)
    assert torch.isfinite(gradient).all()
    assert not gradient[:, ::2].any()


def test_depth_losses_have_their_defined_values():
    prediction, target = torch.full((1, 1, 2), 8.0), torch.full((1, 1, 2), 4.0)
    weight = torch.ones(1, 1, 2)

    def value(name):
        return float(depth_loss(prediction, target, weight, LossConfig(depth_loss=name)))

    assert value("l1") == pytest.approx(4)
    assert value("inverse_l1") == pytest.approx(0.125)
    assert value("log_l1") == pytest.approx(math.log(2))
    assert value("relative_l1") == pytest.approx(1)
    silog = math.sqrt(0.15 * math.log(2) ** 2 + 1e-6)
    assert value("silog_relative") == pytest.approx(silog + 1)


@pytest.mark.parametrize(("name", "shift"), [("log_l1", 0.0), ("relative_l1", 0.3)])
def test_where_depth_is_uncertain_the_optimum_is_the_median_or_something_nearer(name, shift):
    # Log-normal truth of width σ: the median of the logarithm, or σ² below it.
    normal = torch.distributions.Normal(0.0, math.sqrt(0.3))
    target = 10 * normal.icdf(torch.linspace(0.001, 0.999, 4000)).exp().reshape(1, 1, -1)
    offsets = torch.linspace(-0.6, 0.6, 241)
    losses = [
        float(
            depth_loss(
                10 * offset.exp() * torch.ones_like(target),
                target,
                torch.ones_like(target),
                LossConfig(depth_loss=name),
            )
        )
        for offset in offsets
    ]
    assert float(offsets[losses.index(min(losses))]) == pytest.approx(-shift, abs=0.02)


def test_the_gradient_term_sees_shape_and_not_scale():
    target = torch.rand(1, 16, 24) * 20 + 2
    weight = torch.rand(1, 16, 24)
    plain = LossConfig(depth_loss="log_l1")
    shaped = replace(plain, depth_gradient=1.0)

    def term(depth):
        with_it, without = (depth_loss(depth, target, weight, c) for c in (shaped, plain))
        return float(with_it - without)

    assert term(target * 3) == pytest.approx(0, abs=1e-5)
    assert term(target * torch.linspace(1, 2, 24)) > 0.1


@pytest.mark.parametrize("name", DEPTH_LOSSES)
def test_weighted_pixels_count_in_the_depth_loss_as_often_as_their_weight_says(name):
    prediction, target = torch.rand(2, 1, 4, 6) * 50 + 2
    target[:, 1] = 0  # has no say, whatever its weight
    weight = torch.randint(0, 4, (1, 4, 6)).float()
    weight[:, 2] = 0
    weight[:, 3] = 3
    repeated = [
        value.flatten().repeat_interleave(weight.flatten().long())[None, None]
        for value in (prediction, target)
    ]
    config = LossConfig(depth_loss=name)
    once = depth_loss(prediction, target, weight, config)
    often = depth_loss(*repeated, torch.ones_like(repeated[0]), config)
    assert float(once) == pytest.approx(float(often), rel=1e-5)


def test_the_batch_says_which_pixels_count_in_depth(reference):
    output, targets, _ = reference
    target = torch.full_like(targets.depth, 10.0)
    target[..., : target.shape[-1] // 2] = 1e3  # far off, and without a say
    targets = replace(targets, depth=target, depth_weight=(target < 100).float())
    right = output._replace(depth=torch.full_like(output.depth, 10.0))
    config = LossConfig(depth_loss="log_l1")
    assert float(compute_losses(right, targets, config)["depth"]) == pytest.approx(0, abs=1e-6)


def test_negative_predicted_depth_is_pulled_up():
    depth = torch.tensor([-5.0, 0.0, 0.04, 0.05, 1.0], requires_grad=True)
    logarithm = safe_log(depth)
    (gradient,) = torch.autograd.grad(logarithm.sum(), depth)
    assert (gradient > 0).all()
    assert torch.isfinite(logarithm).all()
    assert (logarithm.diff() > 0).all()


def test_a_weighted_mean_counts_pixels_not_channels():
    value, weight = torch.ones(1, 2, 3, 3), torch.ones(1, 1, 3, 3)
    assert float(weighted_mean(value, weight)) == 2


def test_a_label_group_accepts_any_of_its_members():
    target = torch.full((1, 2, 2), RIDER_OR_BICYCLE.id, dtype=torch.uint8)
    logits = torch.randn(1, 19, 2, 2)
    loss = hard_pixel_cross_entropy(
        logits, target, torch.ones(1, 2, 2), fraction=1.0, groups=STREET_GROUPS
    )
    probability = logits.softmax(1)
    expected = -(probability[:, 12] + probability[:, 18]).log().mean()
    torch.testing.assert_close(loss, expected)
    for category_id in (12, 18):
        certain = torch.zeros(1, 19, 2, 2)
        certain[:, category_id] = 50
        loss = hard_pixel_cross_entropy(
            certain, target, torch.ones(1, 2, 2), fraction=1.0, groups=STREET_GROUPS
        )
        assert float(loss) == pytest.approx(0, abs=1e-6)


def test_classes_and_groups_of_different_sizes_share_an_image():
    logits = torch.randn(1, 19, 2, 2, requires_grad=True)
    target = torch.tensor([[[8, CAR_OR_LARGER.id], [SIGN_OR_LIGHT.id, RIDER_OR_BICYCLE.id]]])
    picked = target_logits(logits, target, STREET_GROUPS)
    odds = logits.detach().exp()
    expected = torch.stack(
        [
            odds[0, 8, 0, 0],
            odds[0, 13, 0, 1] + 0.3 * odds[0, 14, 0, 1] + 0.3 * odds[0, 15, 0, 1],
            odds[0, 7, 1, 0] + 0.5 * odds[0, 6, 1, 0],
            odds[0, 12, 1, 1] + odds[0, 18, 1, 1],
        ]
    ).log()
    torch.testing.assert_close(picked.flatten(), expected)
    picked.sum().backward()
    # Each pixel's gradient is shared by its classes; a single class has all of it.
    torch.testing.assert_close(logits.grad.sum(1), torch.ones(1, 2, 2))
    assert float(logits.grad[0, 8, 0, 0]) == 1


def test_the_hard_pixel_fraction_is_checked():
    with pytest.raises(ValueError, match=r"loss\.hard_pixel_fraction: got 0"):
        LossConfig(hard_pixel_fraction=0)
