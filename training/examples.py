# SPDX-License-Identifier: Apache-2.0
"""From a sample to what the loop feeds the network: a view, its targets, tensors."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from depthlab_core.config import DepthConfig, InputConfig
from depthlab_core.labels import LabelSet
from depthlab_core.strict_load import require, require_positive
from training.augment import AugmentConfig, random_view, vary_color
from training.datasets.mixture import Example
from training.datasets.sample import Sample, SampleDataset, require_usable
from training.hood import cover_with_hood
from training.label_groups import STREET_GROUPS
from training.losses import BatchTargets
from training.ranges import require_range
from training.style import StyleMixer
from training.targets import TargetGenerator, segments_of

logger = logging.getLogger("training")


@dataclass(frozen=True)
class TargetConfig:
    """How targets are made; pixels are those of the network's input.

    Attributes:
        sigma: Standard deviation of the Gaussian at a centre.
        small_instance_area, small_instance_weight: Semantic weight of things below this area.
        class_weights: Semantic weight by category id, on top; None: 1 for all. A label group has
            that of its first member.
        offset_balance: Pixels of a thing weigh its area to the power of minus this in the offset
            loss: 0 counts pixels, as in the reference, 1 counts things.
        depth_balance: Likewise for every segment in the depth loss: 0 counts pixels, as in the
            original, 1 counts segments.
        ignore_crowd_in_center: Whether crowds have no centre; the reference gives them one.
        max_depth: Ground truth beyond this many metres is not used; None uses all.
    """

    sigma: float = 10.0
    small_instance_area: int = 4096
    small_instance_weight: float = 3.0
    class_weights: tuple[float, ...] | None = None
    offset_balance: float = 0.0
    depth_balance: float = 0.0
    ignore_crowd_in_center: bool = True
    max_depth: float | None = None

    def __post_init__(self) -> None:
        require(self.sigma > 0, "targets.sigma", self.sigma, "a positive number of pixels")
        require_range("targets", self, ("small_instance_area", "small_instance_weight"), 0)
        require_range("targets", self, ("offset_balance", "depth_balance"), 0, 1)
        if self.class_weights is not None:
            is_right = min(self.class_weights, default=0.0) >= 0
            require(is_right, "targets.class_weights", self.class_weights, "0 or more each")
        if self.max_depth is not None:
            require_positive("targets.max_depth", self.max_depth, "metres")


class ExampleMaker:
    """Turns samples into examples: augmentation, targets, tensors.

    Args:
        augment_config: Random views.
        target_config: Targets.
        depth_config: The network's depth; decides what its output should be.
        labels: Classes.
        keep_plain: Whether examples have a second image, ``plain_image``: the same view in its own
            colours, for the teacher of ``training.self_training``.
        style: Changes the style of views, last of all; None: nothing does.
    """

    def __init__(
        self,
        augment_config: AugmentConfig,
        target_config: TargetConfig,
        depth_config: DepthConfig,
        labels: LabelSet,
        style: StyleMixer | None = None,
        *,
        keep_plain: bool = False,
    ) -> None:
        self._style, self._keep_plain = style, keep_plain
        self._augment = augment_config
        self._targets = target_config
        self._depth = depth_config
        self._labels = labels
        self._generate = TargetGenerator(
            labels,
            sigma=target_config.sigma,
            small_instance_area=target_config.small_instance_area,
            small_instance_weight=target_config.small_instance_weight,
            offset_balance=target_config.offset_balance,
            depth_balance=target_config.depth_balance,
            ignore_crowd_in_center=target_config.ignore_crowd_in_center,
        )
        self._class_weights = _class_weights(target_config.class_weights)

    def __call__(self, sample: Sample, rng: np.random.Generator, step: int = 0) -> Example:
        """Make an example out of a random view of ``sample``, of the size that ``step`` has.

        Raises:
            DatasetError: If the sample's parts do not fit each other.
        """
        require_usable(sample)
        plain = random_view(sample, self._augment.of_step(step), rng)
        if self._augment.hood > 0 and rng.random() < self._augment.hood:
            plain = cover_with_hood(plain, rng)
        image = vary_color(plain.image, self._augment, rng)
        if self._style is not None:
            image = self._style(image, rng)
        example = self.from_view(replace(plain, image=image))
        if self._keep_plain:
            channels_first = np.ascontiguousarray(plain.image.transpose(2, 0, 1))
            example["plain_image"] = torch.from_numpy(channels_first)
        return example

    def from_view(self, view: Sample) -> Example:
        """Make an example out of ``view`` as it is."""
        unlabelled = np.full(view.image.shape[:2], -1, dtype=np.int32)
        panoptic = unlabelled if view.panoptic is None else view.panoptic
        targets = self._generate(panoptic, segments_of(panoptic, self._labels))
        semantic = targets.semantic if view.semantic is None else view.semantic
        weight = np.float32(view.instance_weight)
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "image": view.image.transpose(2, 0, 1),
            "semantic": semantic,
            "semantic_weight": targets.semantic_weight * self._class_weights[semantic],
            "center_heatmap": targets.center_heatmap,
            "center_weight": targets.center_weight * weight,
            "offset": targets.offset,
            "offset_weight": targets.offset_weight * weight,
            "depth": self._depth_target(view),
            "depth_weight": targets.depth_weight,
        }
        return {
            key: torch.from_numpy(np.ascontiguousarray(array)) for key, array in arrays.items()
        }

    def _depth_target(self, view: Sample) -> npt.NDArray[np.float32]:
        """Return what the network's depth output should be; 0 where unknown."""
        if view.depth is None:
            return np.zeros(view.image.shape[:2], dtype=np.float32)
        depth = view.depth
        if self._targets.max_depth is not None:
            depth = np.where(depth <= self._targets.max_depth, depth, 0)
        canonical = self._depth.canonical_focal_length
        if canonical is not None:
            if view.focal_length is None:
                return np.zeros_like(depth)
            depth = depth * np.float32(canonical / view.focal_length)
        return depth.astype(np.float32)


def warn_of_unused_depth(name: str, dataset: SampleDataset, config: DepthConfig) -> None:
    """Log a warning if a dataset's depth teaches nothing, because focal lengths are unknown.

    Args:
        name: Of the dataset.
        dataset: Its first frame stands for all.
        config: The network's depth.
    """
    sample = dataset[0]
    is_unused = sample.depth is not None and sample.focal_length is None
    if is_unused and config.canonical_focal_length is not None:
        logger.warning(
            "datasets.%s: depth of frames without a focal length is not used, such as that of %s: "
            "the network's is that of a camera of %g pixels "
            "(model.network.depth.canonical_focal_length)",
            name,
            sample.name,
            config.canonical_focal_length,
        )


def _class_weights(weights: tuple[float, ...] | None) -> npt.NDArray[np.float32]:
    """Return the weight of every possible value of a semantic target."""
    table = np.ones(256, dtype=np.float32)
    if weights is not None:
        table[: len(weights)] = weights
        for group in STREET_GROUPS:
            table[group.id] = weights[group.members[0][0]]
    return table


def batch_targets(batch: Example) -> BatchTargets:
    """Name the targets of a collated batch."""
    return BatchTargets(
        **{key: value for key, value in batch.items() if key in BatchTargets.__annotations__}
    )


def normalise(images: Tensor, config: InputConfig) -> Tensor:
    """Turn uint8 RGB ``(B, 3, H, W)`` into the network's float input."""
    mean = torch.tensor(config.mean, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(config.std, device=images.device).view(1, 3, 1, 1)
    return (images.float() - mean) / std
