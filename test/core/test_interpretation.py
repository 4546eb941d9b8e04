# SPDX-License-Identifier: Apache-2.0
"""Every form of the post-processing answers what the plain torch form answers."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.scenes import street_scene
from depthlab_core import CITYSCAPES, Category, LabelSet, ModelOutput
from depthlab_core.config import PostprocessConfig
from depthlab_core.cpu.interpret import interpret_on_cpu
from depthlab_core.gpu.interpret import GpuInterpreter
from depthlab_core.interpret import Interpretation, interpret
from depthlab_core.labels import VOID

FIVE = LabelSet(
    "five",
    tuple(Category(i, f"c{i}", i in (1, 3, 4), (i, i, i), has_depth=i != 2) for i in range(5)),
)


OPTIONS: dict[str, Any] = {
    "labels": CITYSCAPES,
    "postprocess": PostprocessConfig(),
    "depth_scale": 1.7,
    "mask_undefined": True,
}
FORMS = [
    pytest.param("numba", id="numba"),
    pytest.param("cpu", id="gpu's form on the CPU"),
    pytest.param(
        "cuda",
        id="gpu",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    ),
]


@dataclasses.dataclass(frozen=True)
class Form:
    """A form under test, and where it wants the network's output."""

    interpret: Callable[..., Interpretation]
    device: torch.device

    def on_device(self, output: ModelOutput) -> ModelOutput:
        return ModelOutput(*(part.to(self.device) for part in output))


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest) -> Form:
    if request.param == "numba":
        return Form(interpret_on_cpu, torch.device("cpu"))
    device = torch.device(request.param)
    return Form(GpuInterpreter(device), device)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Let bands meet within the image, whatever machine this is."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def assert_same_answer(
    form: Form, output: ModelOutput, height: int, width: int, **options: Any
) -> int:
    """Compare a form with the plain one; return how many segments they found."""
    options = OPTIONS | options
    output = form.on_device(output)
    expected = interpret(output, height, width, **options)
    return assert_same(form.interpret(output, height, width, **options), expected)


def assert_same(got: Interpretation, expected: Interpretation) -> int:
    for name in ("panoptic_map", "semantic_map", "id_map", "depth"):
        ours, plain = getattr(got, name), getattr(expected, name)
        assert ours.dtype == plain.dtype
        np.testing.assert_array_equal(ours, plain, err_msg=name)
    assert len(got.segments) == len(expected.segments)
    for ours, plain in zip(got.segments, expected.segments, strict=True):
        for field in dataclasses.fields(plain):
            a, b = getattr(ours, field.name), getattr(plain, field.name)
            assert type(a) is type(b)
            if field.name == "score":
                assert a == pytest.approx(b, rel=1e-5, abs=1e-6)
            elif isinstance(b, (float, tuple)):
                assert a == pytest.approx(b, rel=1e-6, abs=1e-6, nan_ok=True), field.name
            else:
                assert a == b, field.name
    return len(got.segments)


@lru_cache(maxsize=8)
def plain_answer_of_full_size(count: int, device: torch.device) -> Interpretation:
    """The plain form takes seconds for it; every form is compared with the same answer."""
    return interpret(full_size(count, device), 1024, 2048, **OPTIONS)


def full_size(count: int, device: torch.device) -> ModelOutput:
    scene = street_scene(1024, 2048, centers=count)
    return ModelOutput(*(part.to(device) for part in scene))


@pytest.mark.parametrize("count", [0, 1, 2, 50, 199, 200, 201, 400])
def test_street_scenes(form: Form, count: int) -> None:
    segments = assert_same_answer(form, street_scene(256, 512, centers=count), 256, 512)
    assert segments > min(count, 150) * 0.7


@pytest.mark.parametrize("count", [0, 1, 199, 200, 230])
def test_street_scenes_of_full_size(form: Form, count: int) -> None:
    got = form.interpret(full_size(count, form.device), 1024, 2048, **OPTIONS)
    segments = assert_same(got, plain_answer_of_full_size(count, form.device))
    assert segments > min(count, 150) * 0.7


@pytest.mark.parametrize("size", [(512, 1024), (360, 480), (720, 1280), (150, 130), (1024, 2048)])
def test_grids_of_any_ratio(form: Form, size: tuple[int, int]) -> None:
    assert_same_answer(form, street_scene(256, 512, centers=30, seed=1), *size)


@pytest.mark.parametrize("stuff_area", [0, 1, 2048, 10**9])
def test_stuff_area(form: Form, stuff_area: int) -> None:
    config = PostprocessConfig(stuff_area=stuff_area)
    assert_same_answer(form, street_scene(128, 256, centers=9), 128, 256, postprocess=config)


def test_an_instance_of_several_labels(form: Form) -> None:
    # Noise as logits: every instance's pixels have all labels, most of them not the majority's.
    output = street_scene(128, 256, centers=12)
    torch.manual_seed(0)
    noise = torch.randn_like(output.semantic_logits)
    assert_same_answer(form, output._replace(semantic_logits=noise), 128, 256)


def test_instances_that_the_divisor_has_no_labels_for_are_void(form: Form) -> None:
    # Eight cars, of which the labels can tell three. The lower part of each is labelled bicycle,
    # which has no depth here.
    labels = LabelSet(
        "cars",
        (
            Category(0, "road", False, (0, 0, 0)),
            Category(1, "car", True, (0, 0, 0)),
            Category(2, "bicycle", True, (0, 0, 0), has_depth=False),
        ),
        label_divisor=4,
    )
    height, width = 24, 80
    semantic = torch.zeros(height, width, dtype=torch.int64)
    heatmap, offset = torch.zeros(1, height, width), torch.zeros(2, height, width)
    expected = np.zeros((height, width), np.int32)
    for index in range(8):
        columns = slice(10 * index + 1, 10 * index + 9)
        semantic[4:14, columns], semantic[14:20, columns] = 1, 2
        heatmap[0, 12, 10 * index + 5] = 0.9
        expected[4:20, columns] = 5 + index if index < 3 else VOID
    logits = 9.0 * F.one_hot(semantic, 3).permute(2, 0, 1).float()
    depth = torch.full((1, height, width), 10.0)
    output = ModelOutput(*(part[None] for part in (logits, heatmap, offset, depth)))
    options = {"labels": labels, "postprocess": PostprocessConfig(stuff_area=1)}
    assert assert_same_answer(form, output, height, width, **options) == 4
    found = form.interpret(form.on_device(output), height, width, **(OPTIONS | options))
    np.testing.assert_array_equal(found.panoptic_map, expected)
    assert [(s.category_name, s.area) for s in found.segments] == [
        ("road", 24 * 80 - 8 * 16 * 8),
        *[("car", 16 * 8)] * 3,
    ]
    # A void pixel has depth by its own label.
    is_unknown = (expected == VOID) & (semantic == 2).numpy()
    np.testing.assert_array_equal(np.isnan(found.depth), is_unknown)


def test_depth_that_is_none(form: Form) -> None:
    output = street_scene(128, 256, centers=9)
    depth = output.depth.clone()
    depth[..., :20, :] = -1
    depth[..., 20:22, :9] = math.inf
    depth[..., 22:24, :9] = math.nan
    assert_same_answer(form, output._replace(depth=depth), 128, 256)
    assert_same_answer(form, output._replace(depth=-output.depth), 128, 256, mask_undefined=False)


@pytest.mark.parametrize("value", [0.1, 7.0])
def test_depth_that_is_all_the_same(form: Form, value: float) -> None:
    output = street_scene(128, 256, centers=9)
    assert_same_answer(form, output._replace(depth=torch.full_like(output.depth, value)), 128, 256)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_memory_formats(form: Form, memory_format: torch.memory_format) -> None:
    output = street_scene(128, 256, centers=9)
    formatted = ModelOutput(*(part.contiguous(memory_format=memory_format) for part in output))
    assert_same_answer(form, formatted, 128, 256)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    factor=st.sampled_from([1, 2, 4]),
    config=st.builds(
        PostprocessConfig,
        center_threshold=st.sampled_from([-0.2, 0.0, 0.1, 0.125, 0.5, 2.0]),
        nms_kernel=st.sampled_from([1, 3, 7, 9]),
        top_k=st.none() | st.integers(1, 60),
        stuff_area=st.sampled_from([0, 1, 9, 100]),
    ),
)
def test_ties(
    form: Form, seed: int, height: int, width: int, factor: int, config: PostprocessConfig
) -> None:
    # Small fractions and dyadic weights are exact in float32, so ties are exact ties everywhere.
    generator = np.random.default_rng(seed)

    def fractions(channels: int, low: int, high: int, unit: int) -> torch.Tensor:
        values = generator.integers(low, high, (1, channels, height, width)) / unit
        return torch.from_numpy(values.astype(np.float32))

    output = ModelOutput(
        fractions(5, 0, 3, 1),
        fractions(1, -2, 6, 8),
        fractions(2, -40, 41, 4),
        fractions(1, -1, 9, 4),
    )
    size = (height * factor, width * factor)
    assert_same_answer(form, output, *size, labels=FIVE, postprocess=config, depth_scale=1.0)
