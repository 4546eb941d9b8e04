# SPDX-License-Identifier: Apache-2.0
"""From a camera image to the network's input."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from depthlab_core.config import InputConfig

_MULTIPLE = 32
"""Input sizes are multiples of this, so that every feature map is a whole fraction of it."""
_SMALLEST_IMAGE = 32


@dataclass(frozen=True)
class ImageGeometry:
    """How an image's grid and the network input's lie over each other.

    Both cover the same field of view: the input is the image resized, without padding or crop.
    """

    image_height: int
    image_width: int
    input_height: int
    input_width: int

    @property
    def is_identity(self) -> bool:
        """Whether image and network input are of one size."""
        return (self.image_height, self.image_width) == (self.input_height, self.input_width)

    def input_focal_length(self, focal_length: float) -> float:
        """Turn a focal length in image pixels into one in pixels of the network input."""
        scale_y = self.input_height / self.image_height
        scale_x = self.input_width / self.image_width
        return focal_length * math.sqrt(scale_y * scale_x)


def check_image(image: object) -> npt.NDArray[np.uint8]:
    """Return ``image`` if it is one that ``predict`` takes.

    Raises:
        ValueError: If it is not uint8 ``(H, W, 3)`` with both sides of 32 pixels or more.
    """
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image: got {type(image).__name__}, expected a numpy array")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"image: got {image.dtype} of shape {image.shape}, expected uint8 (H, W, 3), RGB"
        )
    if min(image.shape[:2]) < _SMALLEST_IMAGE:
        raise ValueError(
            f"image: got {image.shape[1]}x{image.shape[0]} pixels, "
            f"expected {_SMALLEST_IMAGE}x{_SMALLEST_IMAGE} or more"
        )
    return image


def input_geometry(height: int, width: int, config: InputConfig) -> ImageGeometry:
    """Choose the network input's size for an image of ``height`` by ``width`` pixels."""
    scale = 1.0
    if config.size is not None:
        scale = math.sqrt(config.size[0] * config.size[1] / (height * width))
        if not config.enlarge:
            scale = min(scale, 1.0)
    return ImageGeometry(height, width, _nearest(height * scale), _nearest(width * scale))


def _nearest(length: float) -> int:
    return max(round(length / _MULTIPLE), 1) * _MULTIPLE


def image_to_tensor(
    image: npt.NDArray[np.uint8],
    geometry: ImageGeometry,
    config: InputConfig,
    *,
    memory_format: torch.memory_format = torch.channels_last,
) -> Tensor:
    """Resize and normalise an image on the CPU.

    Args:
        image: uint8 ``(H, W, 3)``, RGB.
        geometry: Of this image, from ``input_geometry``.
        config: Mean and standard deviation.
        memory_format: ``torch.channels_last`` or ``torch.contiguous_format``.

    Returns:
        float32 ``(1, 3, input_height, input_width)``.
    """
    # Here, because numba takes a second to import and training needs none of it.
    from depthlab_core.cpu.normalise import normalise_pixels

    size = (geometry.input_width, geometry.input_height)
    if not geometry.is_identity:
        shrinks = size[0] * size[1] < geometry.image_width * geometry.image_height
        image = cv2.resize(  # type: ignore[assignment]
            image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
    mean, std = np.array(config.mean, np.float32), np.array(config.std, np.float32)
    table = (np.arange(256, dtype=np.float32)[:, None] - mean) / std
    is_last = memory_format == torch.channels_last
    # The kernel is compiled for memory that may be written to; a message's may not.
    image = np.require(image, requirements=["C", "W"])
    pixels = normalise_pixels(image, table, channels_last=is_last)
    tensor = torch.from_numpy(pixels)
    return (tensor.permute(2, 0, 1) if is_last else tensor).unsqueeze(0)
