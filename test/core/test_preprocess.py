# SPDX-License-Identifier: Apache-2.0
"""From image to network input."""

import numpy as np
import pytest
import torch

from depthlab_core.config import InputConfig
from depthlab_core.cpu import normalise
from depthlab_core.preprocess import ImageGeometry, check_image, image_to_tensor, input_geometry

BUDGET = InputConfig(size=(384, 512))


@pytest.mark.parametrize(
    ("image", "config", "expected"),
    [
        ((384, 512), BUDGET, (384, 512)),
        ((360, 480), BUDGET, (384, 512)),
        ((576, 768), BUDGET, (384, 512)),
        ((1080, 1920), BUDGET, (320, 576)),
        ((64, 64), BUDGET, (448, 448)),
        ((2160, 4096), BUDGET, (320, 608)),
        ((32, 3200), BUDGET, (32, 4448)),
        ((1024, 2048), InputConfig(size=(1024, 2048), enlarge=False), (1024, 2048)),
        ((512, 1024), InputConfig(size=(1024, 2048), enlarge=False), (512, 1024)),
        ((2048, 4096), InputConfig(size=(1024, 2048), enlarge=False), (1024, 2048)),
        ((100, 130), InputConfig(), (96, 128)),
    ],
)
def test_input_size(
    image: tuple[int, int], config: InputConfig, expected: tuple[int, int]
) -> None:
    geometry = input_geometry(*image, config)
    assert (geometry.input_height, geometry.input_width) == expected
    assert (geometry.image_height, geometry.image_width) == image


def test_focal_length_follows_the_resize() -> None:
    assert ImageGeometry(1000, 2000, 500, 1000).input_focal_length(800.0) == pytest.approx(400.0)
    assert ImageGeometry(100, 100, 400, 100).input_focal_length(70.0) == pytest.approx(140.0)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_normalises_without_moving_pixels(memory_format: torch.memory_format) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    config = InputConfig()
    geometry = input_geometry(64, 96, config)
    tensor = image_to_tensor(image, geometry, config, memory_format=memory_format)
    assert tensor.is_contiguous(memory_format=memory_format)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].to(torch.float32)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (config.mean, config.std))
    # To the last bit what torch itself computes.
    torch.testing.assert_close(tensor, (pixels - mean) / std, rtol=0, atol=0)


def test_takes_a_view_of_an_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 192, 3), np.uint8)[:, ::-2, ::-1]
    config = InputConfig()
    geometry = input_geometry(64, 96, config)
    expected = image_to_tensor(image.copy(), geometry, config)
    torch.testing.assert_close(image_to_tensor(image, geometry, config), expected, rtol=0, atol=0)


def test_takes_a_message_s_memory() -> None:
    image = np.frombuffer(bytes(range(96)) * 192, np.uint8).reshape(64, 96, 3)
    geometry = input_geometry(64, 96, InputConfig())
    expected = image_to_tensor(image.copy(), geometry, InputConfig())
    got = image_to_tensor(image, geometry, InputConfig())
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
    # A second compilation would cost the first frame a second.
    assert len(normalise._interleaved_rows.signatures) <= 1


def test_shrinks_by_averaging() -> None:
    # A checkerboard becomes grey; point sampling would keep black or white.
    board = np.indices((256, 256)).sum(axis=0) % 2 * 200
    image = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    config = InputConfig(size=(128, 128), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    tensor = image_to_tensor(image, input_geometry(256, 256, config), config)
    torch.testing.assert_close(tensor, torch.full((1, 3, 128, 128), 100.0))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("a.png", "image: got str, expected a numpy array"),
        (np.zeros((64, 64, 3), np.float32), r"got float32 of shape \(64, 64, 3\), expected uint8"),
        (
            np.zeros((64, 64), np.uint8),
            r"got uint8 of shape \(64, 64\), expected uint8 \(H, W, 3\)",
        ),
        (np.zeros((64, 64, 4), np.uint8), r"\(64, 64, 4\)"),
        (np.zeros((31, 64, 3), np.uint8), "got 64x31 pixels, expected 32x32 or more"),
        (np.zeros((0, 64, 3), np.uint8), "got 64x0 pixels"),
    ],
)
def test_refuses_what_is_no_image(image: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_image(image)
