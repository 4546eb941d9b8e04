# SPDX-License-Identifier: Apache-2.0
"""Random views of a sample: one geometric draw for image, labels and depth, then colour.

``draw_view`` decides, ``apply_view`` does, so that image, labels and depth can never be flipped or
cropped apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from depthlab_core.labels import CITYSCAPES
from training.datasets.sample import Sample
from training.ranges import require_range

Pixel = TypeVar("Pixel", bound=np.generic)

FILL_COLOR = (124, 116, 104)
"""RGB beyond the image's border: ImageNet's mean, 0 after normalisation."""


@dataclass(frozen=True)
class AugmentConfig:
    """How views are drawn.

    Attributes:
        crop: Height and width of a view in pixels.
        other_crops: Further such sizes. Steps take ``crop`` and these in turn, so that the network
            sees cameras of several aspect ratios whole; a step's examples have one size.
        scale: Smallest and largest factor of enlargement, relative to ``reference_area``.
        scale_spacing: Whether the factor or its logarithm is drawn uniformly.
        reference_area: Pixels that the whole image has at scale 1; None: its own. The area of
            ``model.input.size`` shows frames as prediction does, whatever their aspect ratio.
        flip: Probability of a left-right flip.
        depth_under_scale: ``keep``: depth stays metric and the focal length follows the scale.
            ``divide``: depth is divided by the scale, and the focal length stays (the field's
            usual way for a network without canonical depth).
        hole_erosion: Depth closer than this many pixels to a hole is dropped: resizing and
            stereo matching are unreliable there. Sparse depth, which is all holes, is kept.
        brightness, contrast, saturation: Largest relative change.
        hue: Largest shift in degrees.
        gamma: Largest change of log gamma.
        blur: Probability of a slight blur.
        sharpen: Probability of sharpening what is not blurred: real images, reduced ones most of
            all, have more fine detail than generated ones.
        noise: Probability of sensor noise.
        hood: Probability of a hood over the lower edge, see :mod:`training.hood`.
    """

    crop: tuple[int, int] = (512, 1024)
    other_crops: tuple[tuple[int, int], ...] = ()
    scale: tuple[float, float] = (0.5, 2.0)
    scale_spacing: Literal["log", "linear"] = "log"
    reference_area: int | None = None
    flip: float = 0.5
    depth_under_scale: Literal["keep", "divide"] = "keep"
    hole_erosion: int = 2
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    gamma: float = 0.0
    blur: float = 0.0
    sharpen: float = 0.0
    noise: float = 0.0
    hood: float = 0.0

    def __post_init__(self) -> None:
        for name, crops in (("crop", (self.crop,)), ("other_crops", self.other_crops)):
            if any(side < 32 or side % 32 for crop in crops for side in crop):
                got = getattr(self, name)
                raise ValueError(f"augment.{name}: got {got}, expected multiples of 32")
        if self.reference_area is not None and self.reference_area <= 0:
            raise ValueError(
                f"augment.reference_area: got {self.reference_area}, expected a positive number"
            )
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"augment.scale: got {self.scale}, expected 0 < smallest <= largest")
        changes = ("brightness", "contrast", "saturation")
        shares = ("flip", "blur", "sharpen", "noise", "hood")
        require_range("augment", self, (*changes, *shares), 0, 1)
        require_range("augment", self, ("hole_erosion", "gamma"), 0)
        require_range("augment", self, ("hue",), 0, 180)

    def of_step(self, step: int) -> AugmentConfig:
        """Return the settings of one step, which has one crop."""
        crops = (self.crop, *self.other_crops)
        return replace(self, crop=crops[step % len(crops)], other_crops=())

    def base_scale(self, height: int, width: int) -> float:
        """Return what scale 1 enlarges an image of this size by."""
        if self.reference_area is None:
            return 1.0
        return float(np.sqrt(self.reference_area / (height * width)))


@dataclass(frozen=True)
class View:
    """A window of an image, enlarged to the crop.

    Attributes:
        top, left, height, width: The window in pixels of the image; it may reach beyond it.
        crop: Height and width that the window is resized to.
        flip: Whether the result is mirrored left to right.
    """

    top: int
    left: int
    height: int
    width: int
    crop: tuple[int, int]
    flip: bool

    @property
    def scale(self) -> float:
        """Horizontal enlargement: view pixels per image pixel."""
        return self.crop[1] / self.width


def draw_view(size: tuple[int, int], config: AugmentConfig, rng: np.random.Generator) -> View:
    """Draw a view of an image of ``size`` (height, width)."""
    base = config.base_scale(*size)
    low, high = config.scale
    if config.scale_spacing == "log":
        scale = base * float(np.exp(rng.uniform(np.log(low), np.log(high))))
    else:
        scale = base * float(rng.uniform(low, high))
    window = (max(1, round(config.crop[0] / scale)), max(1, round(config.crop[1] / scale)))
    top, left = (
        int(rng.integers(min(0, full - part), max(0, full - part) + 1))
        for full, part in zip(size, window, strict=True)
    )
    return View(top, left, window[0], window[1], config.crop, bool(rng.random() < config.flip))


def apply_view(sample: Sample, view: View, config: AugmentConfig) -> Sample:
    """Look at a sample through ``view``.

    Returns:
        A sample of the crop's size. Beyond the image's border: ``FILL_COLOR``, unlabelled, no
        depth. Depth and focal length as ``config.depth_under_scale`` says.
    """
    image = _resize_image(_window(sample.image, view, FILL_COLOR), view.crop)
    semantic = panoptic = depth = None
    if sample.semantic is not None:
        semantic = _pick_nearest(
            _window(sample.semantic, view, CITYSCAPES.ignore_label), view.crop
        )
    if sample.panoptic is not None:
        panoptic = _pick_nearest(_window(sample.panoptic, view, -1), view.crop)
    focal_length = sample.focal_length
    if sample.depth is not None:
        depth = _pick_nearest(_window(sample.depth, view, 0), view.crop)
        if not sample.has_sparse_depth:
            depth = erode_valid(depth, config.hole_erosion)
        if config.depth_under_scale == "divide":
            depth = depth / np.float32(view.scale)
    if focal_length is not None and config.depth_under_scale == "keep":
        focal_length = focal_length * view.scale
    if view.flip:
        image = image[:, ::-1]
        semantic = None if semantic is None else semantic[:, ::-1]
        panoptic = None if panoptic is None else panoptic[:, ::-1]
        depth = None if depth is None else depth[:, ::-1]
    return replace(
        sample,
        image=np.ascontiguousarray(image),
        semantic=semantic,
        panoptic=panoptic,
        depth=depth,
        focal_length=focal_length,
    )


def random_view(sample: Sample, config: AugmentConfig, rng: np.random.Generator) -> Sample:
    """Draw a random view of ``sample``, in its own colours."""
    height, width = sample.image.shape[:2]
    return apply_view(sample, draw_view((height, width), config, rng), config)


def vary_color(
    image: npt.NDArray[np.uint8], config: AugmentConfig, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Vary gamma, contrast, brightness, saturation and hue; at times sharpness and noise."""
    gamma = float(np.exp(rng.uniform(-config.gamma, config.gamma)))
    contrast = 1 + rng.uniform(-config.contrast, config.contrast)
    brightness = 1 + rng.uniform(-config.brightness, config.brightness)
    saturation = 1 + rng.uniform(-config.saturation, config.saturation)
    hue = rng.uniform(-config.hue, config.hue)
    is_blurred, is_noisy = rng.random() < config.blur, rng.random() < config.noise
    is_sharpened = not is_blurred and rng.random() < config.sharpen

    tone = (np.arange(256) / 255.0) ** gamma
    tone = ((tone - 0.5) * contrast + 0.5) * brightness
    result = cv2.LUT(image, np.clip(tone * 255, 0, 255).round().astype(np.uint8))
    if config.saturation > 0 or config.hue > 0:
        hsv = cv2.cvtColor(result, cv2.COLOR_RGB2HSV)
        levels = np.arange(256, dtype=np.float64)
        tables = np.stack(
            [np.round(levels + hue / 2) % 180, np.clip(levels * saturation, 0, 255), levels],
            axis=-1,
        )
        result = cv2.cvtColor(
            cv2.LUT(hsv, tables.round().astype(np.uint8)[None]), cv2.COLOR_HSV2RGB
        )
    if is_blurred:
        result = cv2.GaussianBlur(result, (0, 0), sigmaX=float(rng.uniform(0.4, 1.5)))
    if is_sharpened:
        smooth = cv2.GaussianBlur(result, (0, 0), sigmaX=float(rng.uniform(0.6, 1.5)))
        amount = float(rng.uniform(0.3, 2.0))
        result = cv2.addWeighted(result, 1 + amount, smooth, -amount, 0)
    if is_noisy:
        noise = rng.standard_normal(result.shape, dtype=np.float32) * rng.uniform(2, 10)
        result = np.clip(result + noise, 0, 255).astype(np.uint8)
    return np.asarray(result, dtype=np.uint8)


def erode_valid(depth: npt.NDArray[np.float32], radius: int) -> npt.NDArray[np.float32]:
    """Drop depth within ``radius`` pixels of a hole (a pixel of 0 inside the image)."""
    if radius == 0:
        return depth
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), dtype=np.uint8)
    valid = cv2.erode((depth > 0).astype(np.uint8), kernel, borderValue=1)
    return depth * valid.astype(np.float32)


def _window(
    array: npt.NDArray[Pixel], view: View, fill: int | tuple[int, int, int]
) -> npt.NDArray[Pixel]:
    height, width = array.shape[:2]
    bottom, right = view.top + view.height, view.left + view.width
    if view.top >= 0 and view.left >= 0 and bottom <= height and right <= width:
        return array[view.top : bottom, view.left : right]
    window = np.empty((view.height, view.width, *array.shape[2:]), dtype=array.dtype)
    window[:] = fill
    top, left = max(0, view.top), max(0, view.left)
    inside = array[top : min(bottom, height), left : min(right, width)]
    y, x = top - view.top, left - view.left
    window[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return window


def _resize_image(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    is_reduced = image.shape[0] > size[0]
    method = cv2.INTER_AREA if is_reduced else cv2.INTER_LINEAR
    resized = cv2.resize(image, (size[1], size[0]), interpolation=method)
    return np.asarray(resized, dtype=np.uint8)


def _pick_nearest(array: npt.NDArray[Pixel], size: tuple[int, int]) -> npt.NDArray[Pixel]:
    rows = ((np.arange(size[0]) + 0.5) * array.shape[0] / size[0]).astype(np.intp)
    columns = ((np.arange(size[1]) + 0.5) * array.shape[1] / size[1]).astype(np.intp)
    picked: npt.NDArray[Pixel] = array[rows[:, None], columns[None, :]]
    return picked
