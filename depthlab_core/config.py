# SPDX-License-Identifier: Apache-2.0
"""Configuration of a model: the network, how images reach it, and how its output becomes segments.

All classes are frozen dataclasses, checked when made. They travel as JSON inside checkpoints, so a
checkpoint is all that inference needs.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from depthlab_core.strict_load import dataclass_from_dict, require

BackboneName = Literal["resnet52", "tf_efficientnet_lite0"]
DepthOutput = Literal["linear", "bounded", "log"]
Resize = Literal["direct", "reference"]
NumberFormat = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class DecoderConfig:
    """One decoder: ASPP on res5, then fusion with res3 and res2 (Panoptic-DeepLab, section 3.2).

    Attributes:
        aspp_channels: Channels of every ASPP branch and of its projection.
        channels: Channels after each fusion.
        low_level_channels: Channels that res3 and res2 are projected to.
        head_channels: Channels of the head's second convolution; the first keeps ``channels``.
        separable: Depthwise-separable convolutions (5x5 in fusions and heads) instead of 3x3 ones.
    """

    aspp_channels: int = 256
    channels: int = 256
    low_level_channels: tuple[int, int] = (64, 32)
    head_channels: int = 256
    separable: bool = False

    def __post_init__(self) -> None:
        for name in ("aspp_channels", "channels", "head_channels"):
            value = getattr(self, name)
            require(value > 0, f"decoder.{name}", value, "a positive number")
        require(
            len(self.low_level_channels) == 2 and min(self.low_level_channels) > 0,
            "decoder.low_level_channels",
            self.low_level_channels,
            "two positive numbers (res3, res2)",
        )


@dataclass(frozen=True)
class DepthConfig:
    """What the depth head's single channel ``x`` means.

    Attributes:
        output: ``linear``: depth is ``x`` (the original). ``bounded``: ``max_depth * sigmoid(x)``.
            ``log``: ``exp(x)`` limited to ``min_depth`` .. ``max_depth``.
        min_depth: Smallest depth in metres that ``log`` gives.
        max_depth: Largest depth in metres that ``bounded`` and ``log`` give.
        canonical_focal_length: The network's metres are those of a camera with this focal length
            in pixels of the network input; metric depth is ``depth * focal_length / canonical``.
            None: the output is metric for the training camera, whatever the focal length.
        mask_undefined: Give NaN where the predicted category has no depth (sky).
    """

    output: DepthOutput = "linear"
    min_depth: float = 0.1
    max_depth: float = 250.0
    canonical_focal_length: float | None = None
    mask_undefined: bool = False

    def __post_init__(self) -> None:
        require(
            self.output in typing.get_args(DepthOutput),
            "depth.output",
            self.output,
            "one of " + ", ".join(typing.get_args(DepthOutput)),
        )
        require(
            0 < self.min_depth < self.max_depth,
            "depth.min_depth, depth.max_depth",
            (self.min_depth, self.max_depth),
            "0 < min_depth < max_depth",
        )
        focal = self.canonical_focal_length
        require(
            focal is None or focal > 0,
            "depth.canonical_focal_length",
            focal,
            "a positive number of pixels, or none",
        )


@dataclass(frozen=True)
class NetworkConfig:
    """The whole network.

    Attributes:
        backbone: Which encoder.
        num_classes: Channels of the semantic logits.
        semantic, instance, depth_decoder: One decoder each; nothing is shared between them.
        depth: Meaning of the depth channel.
        atrous_rates: Dilations of the three 3x3 ASPP branches.
        aspp_pool_window: Height and width, in res5 pixels, of the window of ASPP's image pooling;
            None pools the whole image. Trained on crops, a network keeps the crop's window. A
            window larger than the features covers them all.
        dropout: Dropout after the ASPP projection, in training.
    """

    backbone: BackboneName
    num_classes: int = 19
    semantic: DecoderConfig = field(default_factory=DecoderConfig)
    instance: DecoderConfig = field(default_factory=DecoderConfig)
    depth_decoder: DecoderConfig = field(default_factory=DecoderConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)
    atrous_rates: tuple[int, int, int] = (6, 12, 18)
    aspp_pool_window: tuple[int, int] | None = None
    dropout: float = 0.1

    def __post_init__(self) -> None:
        require(
            self.backbone in typing.get_args(BackboneName),
            "network.backbone",
            self.backbone,
            "one of " + ", ".join(typing.get_args(BackboneName)),
        )
        require(1 <= self.num_classes <= 254, "network.num_classes", self.num_classes, "1 to 254")
        require(
            len(self.atrous_rates) == 3 and min(self.atrous_rates) > 0,
            "network.atrous_rates",
            self.atrous_rates,
            "three positive numbers",
        )
        window = self.aspp_pool_window
        require(
            window is None or (len(window) == 2 and min(window) > 0),
            "network.aspp_pool_window",
            window,
            "two positive numbers, or none",
        )
        require(0 <= self.dropout < 1, "network.dropout", self.dropout, "0 or more, below 1")


@dataclass(frozen=True)
class InputConfig:
    """How an image becomes the network's input.

    Attributes:
        size: Height and width that an image's area is matched to before the network sees it; the
            image keeps its aspect ratio. None: the image's own size.
        enlarge: Whether a smaller image is enlarged to that area.
        mean, std: Normalisation per RGB channel, of values 0 to 255.
        default_horizontal_fov: Field of view in degrees, assumed for metric depth where the focal
            length is unknown.
    """

    size: tuple[int, int] | None = None
    enlarge: bool = True
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    default_horizontal_fov: float = 60.0

    def __post_init__(self) -> None:
        require(
            self.size is None or (len(self.size) == 2 and min(self.size) >= 32),
            "input.size",
            self.size,
            "height and width of 32 or more, or none",
        )
        require(all(value > 0 for value in self.std), "input.std", self.std, "positive numbers")
        require(
            0 < self.default_horizontal_fov < 180,
            "input.default_horizontal_fov",
            self.default_horizontal_fov,
            "degrees between 0 and 180",
        )


@dataclass(frozen=True)
class PostprocessConfig:
    """From network output to panoptic map (Panoptic-DeepLab, section 3.3).

    Attributes:
        center_threshold: Heatmap values that do not exceed it are no centres.
        nms_kernel: Odd width in pixels of the max-pooling that keeps local maxima.
        top_k: Centres strictly above the k-th highest value are kept, so at most k - 1 where
            there are that many; None: all.
        stuff_area: Stuff classes covering fewer pixels than this become void.
        thing_area: Things covering fewer pixels than this become void; 0 in the reference.
        thing_score: Things with a lower score become void; 0 in the reference.
        area_size: Height and width of the image that both areas are meant for; they are scaled to
            other sizes. None: they hold for every size, as in the reference.
        resize: How predictions reach the image's grid: ``direct``, by one bilinear resize, or as
            the ``reference`` does, to the network input's size first. The same where image and
            input are of one size.
    """

    center_threshold: float = 0.1
    nms_kernel: int = 7
    top_k: int | None = 200
    stuff_area: int = 2048
    thing_area: int = 0
    thing_score: float = 0.0
    area_size: tuple[int, int] | None = None
    resize: Resize = "reference"

    def __post_init__(self) -> None:
        require(
            self.nms_kernel > 0 and self.nms_kernel % 2 == 1,
            "postprocess.nms_kernel",
            self.nms_kernel,
            "a positive odd number",
        )
        require(
            self.top_k is None or self.top_k > 0,
            "postprocess.top_k",
            self.top_k,
            "a positive number, or none",
        )
        require(
            self.stuff_area >= 0, "postprocess.stuff_area", self.stuff_area, "0 or more pixels"
        )
        require(
            self.thing_area >= 0, "postprocess.thing_area", self.thing_area, "0 or more pixels"
        )
        require(0 <= self.thing_score <= 1, "postprocess.thing_score", self.thing_score, "0 to 1")
        require(
            self.area_size is None or (len(self.area_size) == 2 and min(self.area_size) > 0),
            "postprocess.area_size",
            self.area_size,
            "height and width in pixels, or none",
        )
        require(
            self.resize in typing.get_args(Resize),
            "postprocess.resize",
            self.resize,
            "one of " + ", ".join(typing.get_args(Resize)),
        )

    def stuff_area_at(self, height: int, width: int) -> int:
        """Return the smallest stuff area in pixels for an image of ``height`` by ``width``."""
        return self._area_at(self.stuff_area, height, width)

    def thing_area_at(self, height: int, width: int) -> int:
        """Return the smallest thing's area in pixels for an image of ``height`` by ``width``."""
        return self._area_at(self.thing_area, height, width)

    def _area_at(self, area: int, height: int, width: int) -> int:
        if self.area_size is None:
            return area
        return round(area * height * width / (self.area_size[0] * self.area_size[1]))


@dataclass(frozen=True)
class ModelConfig:
    """All that inference needs beside weights and labels.

    Attributes:
        name: Of the model.
        network, input, postprocess: See there.
        lowest_precision: What a device may compute in where nobody asks for a precision:
            ``fp32`` for a model that must give the published numbers.
    """

    name: str
    network: NetworkConfig
    input: InputConfig = field(default_factory=InputConfig)
    postprocess: PostprocessConfig = field(default_factory=PostprocessConfig)
    lowest_precision: NumberFormat = "fp32"

    def __post_init__(self) -> None:
        require(
            self.lowest_precision in typing.get_args(NumberFormat),
            "lowest_precision",
            self.lowest_precision,
            "one of " + ", ".join(typing.get_args(NumberFormat)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-compatible description that ``from_dict`` reads back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelConfig:
        """Build a configuration from what ``to_dict`` returned.

        Raises:
            ValueError: If a key is unknown or missing, or a value is out of range.
        """
        return dataclass_from_dict(cls, data, "model")
