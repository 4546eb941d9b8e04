# SPDX-License-Identifier: Apache-2.0
"""From a camera image to the network's input on a GPU: bytes go up, the GPU does the rest."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from depthlab_core.config import InputConfig
from depthlab_core.preprocess import ImageGeometry


class DeviceInput:
    """``image_to_tensor`` for GPUs.

    An image is copied into page-locked memory, and from there on a stream of its own while the
    device is still at work on the image before. Nothing here waits for the device, except for a
    staging buffer that is still being read.
    """

    _BUFFERS = 2
    """Staging buffers that take turns."""

    def __init__(self, config: InputConfig, device: torch.device) -> None:
        """Put what is the same for every image on the device.

        Args:
            config: Mean and standard deviation.
            device: Where the tensors are wanted; on the CPU there are neither streams nor
                page-locked memory, and the answer is the same.
        """
        self._device = device
        self._mean = torch.tensor(config.mean, device=device)
        self._std = torch.tensor(config.std, device=device)
        self._staging: list[_Staging] = []
        self._turn = 0
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(self, image: npt.NDArray[np.uint8], geometry: ImageGeometry) -> Tensor:
        """Resize and normalise an image.

        Args:
            image: uint8 ``(H, W, 3)``, RGB.
            geometry: Of this image, from ``input_geometry``.

        Returns:
            float32 ``(1, 3, input_height, input_width)``, channels last in memory. Pixels are
            those of ``image_to_tensor`` but for what its 8-bit resize rounds otherwise, and for
            the rare size that shrinks along one axis alone, where OpenCV does not average.
        """
        pixels = self._upload(image).to(torch.float32)
        if not geometry.is_identity:
            pixels = _resize(pixels, geometry.input_height, geometry.input_width)
        return ((pixels - self._mean) / self._std).permute(2, 0, 1).unsqueeze(0)

    def _upload(self, image: npt.NDArray[np.uint8]) -> Tensor:
        if self._stream is None:
            return torch.from_numpy(np.array(image, order="C"))
        staging = self._next_staging(image.shape)
        staging.copied.synchronize()
        np.copyto(staging.array, image)
        with torch.cuda.stream(self._stream):
            pixels = staging.tensor.to(self._device, non_blocking=True)
            staging.copied.record(self._stream)
        current = torch.cuda.current_stream(self._device)
        current.wait_stream(self._stream)
        # The allocator must not give the memory away while the other stream still reads it.
        pixels.record_stream(current)
        return pixels

    def _next_staging(self, shape: tuple[int, ...]) -> _Staging:
        if not self._staging or self._staging[0].array.shape != shape:
            self._staging = [_Staging(shape) for _ in range(self._BUFFERS)]
        self._turn = (self._turn + 1) % self._BUFFERS
        return self._staging[self._turn]


class _Staging:
    """Page-locked memory for one image, and when its last copy is through."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.tensor = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        self.array: npt.NDArray[np.uint8] = self.tensor.numpy()
        self.copied = torch.cuda.Event()  # type: ignore[no-untyped-call]


def _resize(pixels: Tensor, height: int, width: int) -> Tensor:
    """Resize ``(H, W, 3)`` as OpenCV does, to whole numbers, by two products of matrices."""
    rows = _weights(pixels.shape[0], height, pixels.device)
    columns = _weights(pixels.shape[1], width, pixels.device)
    pixels = (rows @ pixels.flatten(1)).view(height, -1, 3)
    return (columns @ pixels + 0.5).floor()


@lru_cache(maxsize=16)
def _weights(source: int, target: int, device: torch.device) -> Tensor:
    """Return float32 ``(target, source)``: the share of each source pixel in each target pixel.

    Averages over the covered pixels where the axis shrinks (``cv2.INTER_AREA``), else linear
    between the two nearest (``cv2.INTER_LINEAR``).
    """
    scale = source / target
    pixel = np.arange(source)
    if target < source:
        start = np.arange(target)[:, None] * scale
        covered = np.minimum(start + scale, pixel + 1) - np.maximum(start, pixel)
        shares = covered.clip(min=0) / scale
    else:
        position = ((np.arange(target) + 0.5) * scale - 0.5).clip(0, source - 1)
        shares = (1 - abs(position[:, None] - pixel)).clip(min=0)
    return torch.from_numpy(shares.astype(np.float32)).to(device)
