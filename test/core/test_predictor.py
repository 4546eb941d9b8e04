# SPDX-License-Identifier: Apache-2.0
"""The predictor: any image, consistent maps, metric depth, clear errors."""

import copy
import dataclasses
import logging
import math
import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from depthlab_core import DepthLab, ModelOutput, clock, predictor
from depthlab_core.config import PostprocessConfig
from depthlab_core.gpu.interpret import GpuInterpreter


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(64, 64), (360, 480), (33, 200), (401, 133), (2160, 4096)])
def test_any_size_gives_consistent_maps(lite0: DepthLab, size: tuple[int, int]) -> None:
    lite0.postprocess = PostprocessConfig(stuff_area=1)
    prediction = lite0.predict(noise(*size), focal_length=500.0)
    assert prediction.panoptic_map.shape == size
    assert prediction.panoptic_map.dtype == np.int32
    assert prediction.semantic_map.shape == size
    assert prediction.semantic_map.dtype == np.uint8
    assert prediction.id_map.dtype == np.uint16
    assert prediction.depth.shape == size
    assert prediction.depth.dtype == np.float32
    assert prediction.segments
    covered = 0
    for segment in prediction.segments:
        mask = prediction.id_map == segment.id
        assert (prediction.panoptic_map[mask] == segment.panoptic_id).all()
        assert mask.sum() == segment.area
        depth = prediction.depth[mask].astype(np.float64)
        np.testing.assert_equal(np.isfinite(depth).all(), segment.category_name != "sky")
        if segment.category_name != "sky":
            assert segment.depth_mean == pytest.approx(depth.mean(), rel=1e-6)
            assert segment.depth_median == pytest.approx(np.median(depth), rel=1e-6)
        assert 0 <= segment.score <= 1
        covered += segment.area
    assert covered == (prediction.id_map > 0).sum() == (prediction.panoptic_map >= 0).sum()
    assert list(prediction.timings) == ["preprocess", "network", "postprocess", "ground"]


def test_is_deterministic(lite0: DepthLab) -> None:
    first, second = (lite0.predict(noise(96, 128), focal_length=100.0) for _ in range(2))
    np.testing.assert_array_equal(first.panoptic_map, second.panoptic_map)
    np.testing.assert_array_equal(first.depth, second.depth)


def test_depth_is_proportional_to_the_focal_length(lite0: DepthLab) -> None:
    near = lite0.predict(noise(96, 128), focal_length=200.0)
    far = lite0.predict(noise(96, 128), focal_length=600.0)
    np.testing.assert_allclose(far.depth, 3 * near.depth, rtol=1e-5)


def test_without_a_focal_length_a_field_of_view_is_assumed(lite0: DepthLab) -> None:
    prediction = lite0.predict(noise(96, 128))
    assert prediction.focal_length_assumed
    fov = lite0.config.input.default_horizontal_fov
    expected = 64 / math.tan(math.radians(fov / 2))
    assert prediction.focal_length == pytest.approx(expected)
    given = lite0.predict(noise(96, 128), focal_length=expected)
    assert not given.focal_length_assumed
    np.testing.assert_array_equal(prediction.depth, given.depth)


@pytest.mark.parametrize(
    "number",
    [0.0, -5.0, math.nan, math.inf, "1200", [1200.0], np.eye(3), torch.eye(3)]
    + [pytest.param(10**400, id="no float")],
)
def test_refuses_bad_focal_lengths_and_camera_heights(lite0: DepthLab, number) -> None:
    for name, unit in (("focal_length", "pixels"), ("camera_height", "metres")):
        # One line, which the dot does not end.
        message = rf"^{name}: got .*, expected a positive number of {unit}$"
        with pytest.raises(ValueError, match=message):
            lite0.predict(noise(64, 64), **{name: number})


def test_takes_numbers_of_numpy(lite0: DepthLab) -> None:
    for number in (np.float32(100), np.int64(100), np.array(100.0)):
        assert lite0.predict(noise(64, 64), focal_length=number).focal_length == 100.0


def test_refuses_what_is_no_image(lite0: DepthLab) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        lite0.predict(np.zeros((64, 64)))


def test_does_not_change_the_image(lite0: DepthLab) -> None:
    image = noise(64, 64)
    image.flags.writeable = False
    lite0.predict(image)


def test_takes_views(lite0: DepthLab) -> None:
    image = noise(128, 128)
    flipped = lite0.predict(image[::-1, ::-1])
    copied = lite0.predict(np.ascontiguousarray(image[::-1, ::-1]))
    np.testing.assert_array_equal(flipped.depth, copied.depth)


def test_postprocess_may_be_replaced(lite0: DepthLab) -> None:
    image = noise(128, 128)
    lite0.postprocess = PostprocessConfig(stuff_area=1)
    assert (lite0.predict(image).panoptic_map >= 0).any()
    lite0.postprocess = dataclasses.replace(
        lite0.postprocess, stuff_area=10**9, center_threshold=1e9
    )
    assert lite0.predict(image).segments == []


def test_postprocess_holds_from_the_next_prediction_on(
    lite0: DepthLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = PostprocessConfig(stuff_area=1)
    interpret, drop, seen = lite0._interpret, predictor.drop_doubtful_things, []

    def interpret_while_replaced(*args, **options):
        lite0.postprocess = PostprocessConfig(thing_area=10**9)
        return interpret(*args, **options)

    def drop_by(found, config):
        seen.append(config)
        return drop(found, config)

    monkeypatch.setattr(lite0, "postprocess", before)
    monkeypatch.setattr(lite0, "_interpret", interpret_while_replaced)
    monkeypatch.setattr(predictor, "drop_doubtful_things", drop_by)
    lite0.predict(noise(64, 64))
    assert seen == [before]


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_a_batch_is_answered_as_its_images_are(lite0_checkpoint: Path, backend: str) -> None:
    model = DepthLab.load(lite0_checkpoint, "cpu", backend, "fp32")
    model.postprocess = PostprocessConfig(stuff_area=1)
    # Four of one network input, of which two are resized, and one of another.
    sizes = [(96, 128), (64, 64), (96, 128), (101, 130), (90, 120)]
    images = [noise(*size, seed) for seed, size in enumerate(sizes)]
    focal_lengths = [100.0, 200.0, None, 300.0, 400.0]
    together = model.predict_batch(images, focal_lengths)
    for image, focal_length, got in zip(images, focal_lengths, together, strict=True):
        alone = model.predict(image, focal_length)
        assert (got.focal_length, got.focal_length_assumed) == (
            alone.focal_length,
            alone.focal_length_assumed,
        )
        # Sums in another order may tip a pixel whose two best classes are equally likely.
        assert (got.panoptic_map != alone.panoptic_map).mean() < 1e-3
        np.testing.assert_allclose(got.depth, alone.depth, rtol=1e-4)
        assert list(got.timings) == list(alone.timings)


def test_a_batch_goes_through_the_network_at_once(
    lite0: DepthLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []
    engine = lite0._engine
    monkeypatch.setattr(lite0, "_engine", lambda x: (shapes.append(tuple(x.shape)), engine(x))[1])
    monkeypatch.setattr(lite0._engine, "memory_format", torch.channels_last, raising=False)
    lite0.predict_batch([noise(64, 96, seed) for seed in range(7)] + [noise(64, 64)])
    wide, square = (3, 352, 544), (3, 448, 448)
    assert shapes == [(4, *wide), (2, *wide), (1, *wide), (1, *square)]
    assert lite0.predict_batch([]) == []


def test_a_batch_refuses_what_its_images_would_be_refused_for(lite0: DepthLab) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        lite0.predict_batch([noise(64, 64), np.zeros((64, 64))])
    with pytest.raises(ValueError, match="focal_length: got -1"):
        lite0.predict_batch([noise(64, 64)] * 2, [10.0, -1.0])
    with pytest.raises(ValueError, match=r"^focal_lengths: got 1, expected 2, one for each imag"):
        lite0.predict_batch([noise(64, 64)] * 2, [10.0])


def test_warm_up_compiles_every_batch(
    lite0_checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = DepthLab.load(lite0_checkpoint, "cpu", "openvino", "fp32")
    caplog.clear()  # of what loading told, if another test had it told
    with caplog.at_level(logging.INFO, "depthlab_core.openvino_engine"):
        model.warm_up(64, 96, images=3)
        model.predict_batch([noise(64, 96)] * 3)
    compiled = [message.partition("for ")[2] for message in caplog.messages]
    assert compiled == ["544x352", "2 of 544x352"]


def test_a_gpu_gets_the_post_processing_made_for_it(
    lite0: DepthLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Any device that is no CPU stands for one.
    assert isinstance(predictor._interpret_on(torch.device("meta")), GpuInterpreter)
    monkeypatch.setattr(lite0, "postprocess", PostprocessConfig(stuff_area=1))
    expected = lite0.predict(noise(96, 128))
    monkeypatch.setattr(lite0, "_interpret", GpuInterpreter(torch.device("cpu")))
    found = lite0.predict(noise(96, 128))
    for name in ("panoptic_map", "semantic_map", "id_map", "depth"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert [segment.area for segment in found.segments] == [
        segment.area for segment in expected.segments
    ]


def test_threads_take_turns(lite0: DepthLab, monkeypatch: pytest.MonkeyPatch) -> None:
    # As a GPU's graphs do, this engine gives all its answers in the same place.
    engine, places, meeting = lite0._engine, {}, Barrier(2)

    class OnePlace:
        memory_format = engine.memory_format

        def __call__(self, x: torch.Tensor) -> ModelOutput:
            answer = engine(x)
            place = places.setdefault(x.shape, ModelOutput(*(part.clone() for part in answer)))
            for kept, part in zip(place, answer, strict=True):
                kept.copy_(part)
            # Another thread's chance to come in between, which it must not have.
            with suppress(BrokenBarrierError):
                meeting.wait(0.2)
            meeting.reset()
            return place

    images = [noise(64, 96, seed) for seed in range(2)]
    expected = [lite0.predict(image, 100.0).depth for image in images]
    assert not np.array_equal(*expected)
    monkeypatch.setattr(lite0, "_engine", OnePlace())
    with ThreadPoolExecutor(2) as threads:
        found = threads.map(lambda k: lite0.predict(images[k % 2], 100.0).depth, range(4))
        for number, depth in enumerate(found):
            np.testing.assert_array_equal(depth, expected[number % 2])


def test_the_wait_for_other_threads_is_no_stage(
    lite0: DepthLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = 0.0

    class Turn:
        def __enter__(self) -> None:
            nonlocal waited
            waited += 1000.0

        def __exit__(self, *_: object) -> None:
            pass

    ticks = SimpleNamespace(perf_counter=lambda: time.perf_counter() + waited)
    monkeypatch.setattr(clock, "time", ticks)
    monkeypatch.setattr(lite0, "_turn", Turn())
    timings = lite0.predict(noise(64, 64)).timings
    assert waited == 1000.0
    assert 0 < timings["preprocess"] <= sum(timings.values()) < 1000e3


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_a_forked_process_goes_on(lite0_checkpoint: Path, backend: str) -> None:
    # In a process of its own: a fork has no place in this one.
    code = f"""
import multiprocessing, sys
import numpy as np
from depthlab_core import DepthLab

model = DepthLab.load({str(lite0_checkpoint)!r}, "cpu", {backend!r}, "fp32")
image = np.random.default_rng(0).integers(0, 256, (384, 512, 3), np.uint8)
expected = model.predict(image)

def predict():
    found = model.predict(image)
    same = np.array_equal(found.id_map, expected.id_map)
    sys.exit(0 if same and np.allclose(found.depth, expected.depth, equal_nan=True) else 3)

child = multiprocessing.get_context("fork").Process(target=predict)
child.start()
child.join(300)
child.kill()
child.join()
sys.exit(child.exitcode != 0)
"""
    threads = os.environ | {"OMP_NUM_THREADS": "2"}
    assert subprocess.run([sys.executable, "-c", code], env=threads, check=False).returncode == 0


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_refuses_to_be_pickled_or_copied(lite0: DepthLab, take) -> None:
    with pytest.raises(TypeError, match=r"^a DepthLab can be neither pickled nor copied;"):
        take(lite0)


def test_unknown_device(lite0_checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="device: got 'tpu', expected auto or one of cpu"):
        DepthLab.load(lite0_checkpoint, device="tpu")


def test_import_is_light() -> None:
    # timm alone takes seconds; command lines that only parse arguments should not wait for it.
    code = "import sys, depthlab_core; sys.exit('timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
