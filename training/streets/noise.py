# SPDX-License-Identifier: Apache-2.0
"""Tileable noise fields, made once per process and reused by rolling and flipping them."""

from functools import cache

import numpy as np
import numpy.typing as npt

from training.streets.appearance import generator

Field = npt.NDArray[np.float32]
_FIELDS = 6


@cache
def _field(size: int, exponent: float, number: int) -> Field:
    """Spectral noise in 0..1 whose power falls with frequency to ``-exponent``."""
    rng = generator("noise", size, int(exponent * 100), number)
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)))
    fy = np.fft.fftfreq(size)[:, None]
    fx = np.fft.rfftfreq(size)[None]
    frequency = np.hypot(fy, fx)
    frequency[0, 0] = 1.0
    spectrum *= frequency ** (-exponent / 2)
    spectrum[0, 0] = 0.0
    field = np.fft.irfft2(spectrum, (size, size))
    field = 0.5 + field / (4 * field.std())
    return np.asarray(np.clip(field, 0, 1), np.float32)


def noise(rng: np.random.Generator, size: int, *, exponent: float = 2.0) -> Field:
    """Return tileable noise ``(size, size)`` in 0..1, mean 0.5; exponent 0 white, 3 cloudy."""
    field = _field(size, exponent, int(rng.integers(_FIELDS)))
    field = np.roll(field, tuple(rng.integers(0, size, 2)), (0, 1))
    return field.T if rng.random() < 0.5 else field


def blotches(rng: np.random.Generator, size: int, share: float, *, exponent: float = 2.5) -> Field:
    """Return a soft mask ``(size, size)`` that covers about ``share`` of the area."""
    field = noise(rng, size, exponent=exponent)
    level = float(np.quantile(field[::4, ::4], 1 - share))
    return np.asarray(np.clip((field - level) * 12 + 0.5, 0, 1), np.float32)
