# SPDX-License-Identifier: Apache-2.0
"""Images prepared on a device are those prepared on the CPU."""

import cv2
import numpy as np
import pytest
import torch

from depthlab_core.config import InputConfig
from depthlab_core.device_input import DeviceInput
from depthlab_core.preprocess import ImageGeometry, image_to_tensor

CONFIG = InputConfig()
PLAIN = InputConfig(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    ),
]


def photo(height: int, width: int) -> np.ndarray:
    """Noise of all sizes, as pictures have."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, (height, width, 3), np.uint8)
    blobs = generator.integers(0, 256, (max(height // 9, 1), max(width // 9, 1), 3), np.uint8)
    return cv2.addWeighted(noise, 0.3, cv2.resize(blobs, (width, height)), 0.7, 0)


@pytest.mark.parametrize("device", DEVICES)
def test_without_a_resize_the_numbers_are_the_same(device: str) -> None:
    image = photo(64, 96)
    geometry = ImageGeometry(64, 96, 64, 96)
    got = DeviceInput(CONFIG, torch.device(device))(image, geometry)
    assert got.is_contiguous(memory_format=torch.channels_last)
    expected = image_to_tensor(image, geometry, CONFIG)
    torch.testing.assert_close(got.cpu(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((720, 1280), (320, 576)),
        ((360, 480), (384, 512)),
        ((256, 256), (128, 128)),
        ((65, 97), (64, 96)),
        ((33, 40), (448, 448)),
    ],
)
def test_resizes_as_opencv_does(
    source: tuple[int, int], target: tuple[int, int], device: str
) -> None:
    image = photo(*source)
    geometry = ImageGeometry(*source, *target)
    got = DeviceInput(PLAIN, torch.device(device))(image, geometry)
    assert got.is_contiguous(memory_format=torch.channels_last)
    difference = (got.cpu() - image_to_tensor(image, geometry, PLAIN)).abs()
    # OpenCV enlarges with weights of 11 bits, and rounds between rows and columns.
    assert difference.max() <= 1
    assert difference.mean() < (0.02 if target < source else 0.2)


@pytest.mark.parametrize("device", DEVICES)
def test_images_do_not_mix(device: str) -> None:
    prepare = DeviceInput(PLAIN, torch.device(device))
    images = [photo(64, 96) + np.uint8(step) for step in range(5)]
    got = [prepare(image, ImageGeometry(64, 96, 64, 96)) for image in images]
    smaller = prepare(images[0][:32], ImageGeometry(32, 96, 32, 96))
    for image, tensor in zip(images, got, strict=True):
        np.testing.assert_array_equal(tensor[0].permute(1, 2, 0).cpu().numpy(), image)
    np.testing.assert_array_equal(smaller[0].permute(1, 2, 0).cpu().numpy(), images[0][:32])
