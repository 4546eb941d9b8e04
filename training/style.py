# SPDX-License-Identifier: Apache-2.0
"""Gives generated images the light and colours of real ones, by mixing their spectra.

Source: FDA (Yang and Soatto, CVPR 2020), with amplitudes mixed by a random share as in Xu et al.,
"A Fourier-based framework for domain generalization" (CVPR 2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.datasets.sample import SampleDataset


@dataclass(frozen=True)
class StyleConfig:
    """How styles are mixed.

    Attributes:
        probability: Share of the views that are given another style.
        bandwidth: Largest half-width of the square of frequencies that is mixed, as a share of
            the image's shorter side.
    """

    probability: float = 0.5
    bandwidth: float = 0.015

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1:
            raise ValueError(f"style.probability: got {self.probability}, expected 0 to 1")
        if not 0 < self.bandwidth <= 0.5:
            raise ValueError(f"style.bandwidth: got {self.bandwidth}, expected above 0 to 0.5")


class StyleMixer:
    """Mixes the style of random frames of a dataset into images.

    Args:
        dataset: Where styles come from.
        config: How often, and how much.
    """

    def __init__(self, dataset: SampleDataset, config: StyleConfig) -> None:
        self._dataset = dataset
        self._config = config

    def __call__(
        self, image: npt.NDArray[np.uint8], rng: np.random.Generator
    ) -> npt.NDArray[np.uint8]:
        """Return ``image``, uint8 ``(H, W, 3)`` RGB, itself or in another style."""
        if rng.random() >= self._config.probability:
            return image
        style = self._dataset[int(rng.integers(len(self._dataset)))].image
        band = int(rng.uniform(0, self._config.bandwidth) * min(image.shape[:2]))
        return mix_style(image, style, band, float(rng.random()))


def mix_style(
    image: npt.NDArray[np.uint8], style: npt.NDArray[np.uint8], band: int, share: float
) -> npt.NDArray[np.uint8]:
    """Move the amplitudes of an image's low frequencies towards those of another image.

    Phases, which hold where things are, stay the image's own.

    Args:
        image: uint8 ``(H, W, 3)``.
        style: uint8 ``(h, w, 3)``, of any size.
        band: Frequencies of up to this many periods per image side are mixed; 0: the mean alone.
        share: 0 leaves the image as it is, 1 gives it the other's amplitudes.

    Returns:
        uint8 ``(H, W, 3)``.
    """
    height, width = image.shape[:2]
    style = np.asarray(cv2.resize(style, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    # A few frequencies of many: sums over pixels take a fifth of the time of the whole transform.
    # By torch, whose threads loaders limit; numpy's products would take all cores in each of them.
    band = min(band, (min(height, width) - 1) // 2)
    down = _waves(height, torch.arange(-band, band + 1))
    right = _waves(width, torch.arange(band + 1))
    own = _spectrum(image, down, right)
    other = _spectrum(style, down, right).abs()
    change = own * share * (other / own.abs().clamp(min=1e-6) - 1) / (height * width)
    # Each stands for its mirror image, too, which a real image's spectrum has.
    change[:, 1:] *= 2
    rows = torch.einsum("rkc,kw->rwc", change, right.conj()).reshape(len(down), -1)
    added = (down.real.T @ rows.real + down.imag.T @ rows.imag).reshape(image.shape).numpy()
    return np.asarray((image + added).round().clip(0, 255), np.uint8)


def _waves(size: int, frequencies: Tensor) -> Tensor:
    """Return a side's waves, complex64 ``(frequencies, size)``."""
    phases = -2 * torch.pi * torch.outer(frequencies, torch.arange(size)) / size
    return torch.polar(torch.ones_like(phases), phases)


def _spectrum(image: npt.NDArray[np.uint8], down: Tensor, right: Tensor) -> Tensor:
    """Return amplitudes and phases, complex64 ``(waves down, waves right, channels)``."""
    height, width, channels = image.shape
    pixels = torch.from_numpy(np.ascontiguousarray(image)).float().reshape(height, -1)
    rows = torch.complex(down.real @ pixels, down.imag @ pixels).view(-1, width, channels)
    return torch.einsum("rwc,kw->rkc", rows, right)
