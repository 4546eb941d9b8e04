# SPDX-License-Identifier: Apache-2.0
"""From radiance to a photograph: exposure, tone curve, colour cast, blur, noise, JPEG."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Radiance = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sensor:
    """A camera's electronics.

    Attributes:
        exposure: Mean brightness that the automatic exposure aims at (linear, 0..1).
        bias: Error of the automatic exposure, in stops.
        white_balance: Gain of red, green and blue.
        contrast: Slope of the tone curve's middle.
        saturation: 1 = neutral.
        black: Veiling glare and black level, 0..0.1.
        vignette: Darkening of the corners, 0..1.
        blur: Standard deviation of the lens' blur, pixels.
        motion: Length of the motion blur along the rows, pixels.
        gain_noise: Shot noise at white.
        read_noise: Noise at black.
        sharpening: Strength of unsharp masking.
        bloom: Share of bright light that spreads.
        quality: JPEG quality.
    """

    exposure: float
    bias: float
    white_balance: tuple[float, float, float]
    contrast: float
    saturation: float
    black: float
    vignette: float
    blur: float
    motion: float
    gain_noise: float
    read_noise: float
    sharpening: float
    bloom: float
    quality: int


def sensor(rng: np.random.Generator) -> Sensor:
    """Draw a camera: most are decent, some are poor."""
    poor = rng.random() < 0.3
    warmth, tint = rng.normal(0, 0.07), rng.normal(0, 0.025)
    return Sensor(
        exposure=rng.uniform(0.1, 0.24),
        bias=rng.normal(0, 0.35),
        white_balance=(1 + warmth, 1 + tint, 1 - warmth),
        contrast=rng.uniform(1.0, 1.8),
        saturation=rng.uniform(0.5, 1.05),
        black=rng.uniform(0, 0.03) if rng.random() < 0.35 else 0.0,
        vignette=rng.uniform(0, 0.5) if rng.random() < 0.5 else 0.0,
        blur=rng.uniform(0.2, 0.8) if poor else rng.uniform(0.0, 0.45),
        motion=rng.uniform(1, 7) if rng.random() < 0.12 else 0.0,
        gain_noise=rng.uniform(0.005, 0.04) if poor else rng.uniform(0, 0.015),
        read_noise=rng.uniform(0.001, 0.008) if poor else rng.uniform(0, 0.002),
        sharpening=rng.uniform(0, 0.8) if rng.random() < 0.5 else 0.0,
        bloom=rng.uniform(0.0, 0.12),
        quality=int(rng.integers(55, 98)),
    )


def photograph(
    radiance: Radiance, camera: Sensor, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Return the image ``(H, W, 3)`` uint8 sRGB of linear radiance ``(H, W, 3)``."""
    light = np.maximum(radiance, 0)
    key = float(np.exp(np.log(light.mean(-1) + 1e-4).mean()))
    # Automatic exposure follows the scene, but not all the way: night stays darker than day.
    target = camera.exposure * (key / 0.25) ** 0.25
    light = light * (target / max(key, 1e-4)) * 2.0**camera.bias
    light = light * np.asarray(camera.white_balance, np.float32)
    height, width = light.shape[:2]
    if camera.bloom > 0.005:
        bright = np.minimum(np.maximum(light - 1.0, 0), 4.0)
        glow = cv2.GaussianBlur(bright, (0, 0), width / 90)
        light = light + camera.bloom * glow + camera.bloom * 0.02
    if camera.blur > 0.15:
        light = cv2.GaussianBlur(light, (0, 0), camera.blur)
    if camera.motion > 1.0:
        kernel = np.full((1, int(camera.motion) + 1), 1.0, np.float32)
        light = cv2.filter2D(light, -1, kernel / kernel.size)
    if camera.vignette > 0:
        y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        light = light * (1 - camera.vignette * 0.5 * (x * x + y * y))[..., None]
    if camera.sharpening:
        light = light + camera.sharpening * (light - cv2.GaussianBlur(light, (0, 0), 1.0))
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    sigma = np.sqrt(camera.read_noise**2 + camera.gain_noise**2 * np.clip(light, 0, 1))
    light = np.clip(light + noise * sigma, 0, 16)
    image = _tone(light.astype(np.float32), camera)
    grey = image @ np.array([0.299, 0.587, 0.114], np.float32)
    image = grey[..., None] + camera.saturation * (image - grey[..., None])
    pixels = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    if camera.quality < 95:
        _, coded = cv2.imencode(
            ".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, camera.quality]
        )
        decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        assert decoded is not None  # it was encoded a line above
        pixels = np.asarray(decoded[..., ::-1], np.uint8)
    return np.ascontiguousarray(pixels)


def _tone(light: Radiance, camera: Sensor) -> Radiance:
    """Return display values 0..1: a shoulder for highlights, gamma, contrast about the middle."""
    knee = 0.7
    excess = np.maximum(light - knee, 0)
    compressed = np.where(
        light > knee, knee + (1 - knee) * (1 - np.exp(-excess / (1 - knee) * 0.8)), light
    )
    display = np.power(compressed + camera.black, 1 / 2.2)
    display = 0.42 + (display - 0.42) * camera.contrast
    return np.asarray(display, np.float32)
