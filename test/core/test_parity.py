# SPDX-License-Identifier: Apache-2.0
"""The same weights give the reference's numbers; see ``data/README.md``."""

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from depthlab_core import CITYSCAPES, DepthLab
from depthlab_core.checkpoint import Checkpoint
from depthlab_core.model_zoo import R52
from depthlab_core.network import ModelOutput, PanopticDepthLab, build_network
from depthlab_core.prediction import Prediction
from depthlab_core.restore import restore

DATA = Path(__file__).parent / "data"


def fill(key: str, shape: tuple[int, ...]) -> np.ndarray:
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    generator = np.random.RandomState(zlib.crc32(key.encode()))
    z = generator.standard_normal(size=shape)
    fan_in = math.prod(shape[1:])
    if key.endswith("running_var"):
        value = 0.75 + 0.5 / (1 + np.exp(-z))
    elif key.endswith("running_mean"):
        value = 0.1 * z
    elif key.endswith("norm.weight"):
        residual = key.endswith("conv3.norm.weight") and ".stem." not in key
        value = (1 + 0.1 * z) * (0.25 if residual else 1)
    elif key.endswith("bias"):
        value = 0.05 * z
    else:
        value = z * math.sqrt((1 if key.endswith("predictor.weight") else 2) / fan_in)
    return value.astype(np.float32)


def smooth_image(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width].astype(np.float64)
    channels = []
    for c in range(3):
        wave = np.sin(2 * np.pi * (x / (97 + 31 * c) + y / (61 + 17 * c)) + c)
        ripple = np.cos(2 * np.pi * (x * y) / (height * width) * (3 + c))
        channels.append(127.5 + 100 * wave + 27 * ripple)
    return np.clip(np.round(np.stack(channels, axis=2)), 0, 255).astype(np.uint8)


@dataclass(repr=False)
class Run:
    """One prediction of the filled r52, with what passed through the network on the way."""

    network: PanopticDepthLab
    features: dict[str, Tensor]
    output: ModelOutput
    prediction: Prediction


@pytest.fixture(scope="module")
def reference() -> Iterator[dict[str, np.ndarray]]:
    with np.load(DATA / "network.npz") as file:
        yield dict(file)


@pytest.fixture(scope="module")
def run() -> Run:
    network = build_network("r52")
    network.load_state_dict(
        {k: torch.from_numpy(fill(k, tuple(v.shape))) for k, v in network.state_dict().items()}
    )
    network.eval()
    image = smooth_image(512, 1024)
    assert zlib.crc32(image.transpose(2, 0, 1).tobytes()) == 4024929615
    caught = []
    hooks = [
        module.register_forward_hook(lambda *call: caught.append(call[2]))
        for module in (network.backbone, network)
    ]
    prediction = DepthLab(Checkpoint(network, R52, CITYSCAPES, {}), "cpu", "torch").predict(image)
    for hook in hooks:
        hook.remove()
    return Run(network, *caught, prediction)


def assert_close(got: Tensor, expected: np.ndarray) -> None:
    torch.testing.assert_close(got.contiguous(), torch.from_numpy(expected), rtol=1e-4, atol=1e-4)


def test_state_has_the_published_keys_in_order(run: Run) -> None:
    expected = [line.split("\t") for line in (DATA / "state_keys.txt").read_text().splitlines()]
    got = [[k, str(tuple(v.shape)), str(v.dtype)] for k, v in run.network.state_dict().items()]
    assert got == expected
    assert len(got) == 590


def test_parameters_are_as_many_as_published(run: Run) -> None:
    sizes = {name: value.numel() for name, value in run.network.named_parameters()}
    assert sum(sizes.values()) == 79_109_623
    assert sum(n for name, n in sizes.items() if "depth_head" not in name) == 59_770_166


@pytest.mark.parametrize(("name", "step"), [("res2", 8), ("res3", 4), ("res5", 2)])
def test_backbone(run: Run, reference: dict[str, np.ndarray], name: str, step: int) -> None:
    assert_close(run.features[name][0, :16, ::step, ::step], reference[name])


@pytest.mark.parametrize(
    ("name", "step"),
    [("semantic_logits", 8), ("center_heatmap", 2), ("offset", 2), ("depth", 2)],
)
def test_heads(run: Run, reference: dict[str, np.ndarray], name: str, step: int) -> None:
    assert_close(getattr(run.output, name)[0, :, ::step, ::step], reference[name])


def test_panoptic_map(run: Run, reference: dict[str, np.ndarray]) -> None:
    got = run.prediction.panoptic_map[::4, ::4]
    assert (got == reference["panoptic"]).mean() >= 0.999


def test_depth_of_segments(run: Run, reference: dict[str, np.ndarray]) -> None:
    got = {segment.panoptic_id: segment.depth_mean for segment in run.prediction.segments}
    expected = dict(zip(reference["segment_ids"], reference["segment_depth"], strict=True))
    assert got == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("size", [(512, 1024), (700, 1300), (300, 600)])
def test_other_output_size(run: Run, size: tuple[int, int]) -> None:
    # The reference upsamples by 4, then resizes to the output. It leaves offset values as they are
    # in the second step, which is right at its own size only.
    height, width = size
    upsampled = [
        F.interpolate(x, scale_factor=4, mode="bilinear", align_corners=False) for x in run.output
    ]
    upsampled[2] *= 4
    expected = [
        F.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in upsampled
    ]
    expected[2] *= torch.tensor([height / 512, width / 1024]).view(1, 2, 1, 1)
    got = restore(restore(run.output, 512, 1024), height, width)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_one_resize_finds_nearly_the_same_classes_as_two(run: Run) -> None:
    once = restore(run.output, 700, 1300)
    twice = restore(restore(run.output, 512, 1024), 700, 1300)
    assert (once.semantic_logits.argmax(1) == twice.semantic_logits.argmax(1)).float().mean() > (
        0.998
    )


@pytest.mark.parametrize("size", [(33, 47), (130, 260)])
def test_any_size(run: Run, size: tuple[int, int]) -> None:
    image = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = run.network.backbone(image)
        both = run.network(image)
        alone = run.network(image[1:])
    for name, stride in (("res2", 4), ("res3", 8), ("res5", 16)):
        expected = tuple(math.ceil(side / stride) for side in size)
        assert features[name].shape[-2:] == expected
    for together, single in zip(both, alone, strict=True):
        assert together.shape[-2:] == tuple(math.ceil(side / 4) for side in size)
        assert torch.isfinite(together).all()
        torch.testing.assert_close(together[1:], single, rtol=1e-3, atol=1e-3)


def test_a_window_that_covers_the_features_pools_all_of_them(run: Run) -> None:
    image = torch.randn(1, 3, 128, 192, generator=torch.Generator().manual_seed(0))
    aspp = run.network.sem_seg_head.decoder.res5["project_conv"]
    with torch.inference_mode():
        features = run.network.backbone(image)["res5"]
        torch.testing.assert_close(
            aspp.convs[-1][0](features), features.mean(dim=(2, 3), keepdim=True)
        )


def test_a_smaller_window_slides(run: Run) -> None:
    pool = run.network.depth_head.decoder.res5["project_conv"].convs[-1][0]
    features = torch.randn(1, 4, 40, 70, generator=torch.Generator().manual_seed(0))
    pooled = pool(features)
    assert pooled.shape == (1, 4, 9, 7)
    torch.testing.assert_close(
        pooled[0, :, 5, 3], features[0, :, 5 : 5 + 32, 3 : 3 + 64].mean(dim=(1, 2))
    )
