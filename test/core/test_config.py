# SPDX-License-Identifier: Apache-2.0
"""Configurations: what is out of range is refused, what is written is read back."""

import json
import math

import pytest

from depthlab_core.config import (
    DecoderConfig,
    DepthConfig,
    InputConfig,
    ModelConfig,
    NetworkConfig,
    PostprocessConfig,
)
from depthlab_core.model_zoo import LITE0, MODELS
from depthlab_core.network import build_network


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_survives_json(model: ModelConfig) -> None:
    assert ModelConfig.from_dict(json.loads(json.dumps(model.to_dict()))) == model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PostprocessConfig(nms_kernel=4), r"nms_kernel: got 4, expected a positive odd"),
        (lambda: PostprocessConfig(top_k=0), r"top_k: got 0, expected a positive number, or none"),
        (lambda: PostprocessConfig(stuff_area=-1), r"stuff_area: got -1"),
        (lambda: PostprocessConfig(thing_area=-1), r"thing_area: got -1"),
        (lambda: PostprocessConfig(thing_score=1.5), r"thing_score: got 1.5, expected 0 to 1"),
        (lambda: PostprocessConfig(area_size=(0, 5)), r"area_size: got \(0, 5\)"),
        (lambda: PostprocessConfig(area_size=(512,)), r"area_size: got \(512,\), expected height"),
        (lambda: InputConfig(size=(16, 512)), r"input.size: got \(16, 512\)"),
        (lambda: InputConfig(std=(1.0, 0.0, 1.0)), r"input.std"),
        (lambda: InputConfig(std=(1.0, math.nan, 1.0)), r"input.std"),
        (lambda: InputConfig(default_horizontal_fov=180.0), r"default_horizontal_fov: got 180"),
        (lambda: DepthConfig(output="sqrt"), r"depth.output: got 'sqrt', expected one of linear"),
        (lambda: DepthConfig(min_depth=9, max_depth=8), r"expected 0 < min_depth < max_depth"),
        (lambda: DepthConfig(canonical_focal_length=0.0), r"canonical_focal_length: got 0.0"),
        (lambda: DecoderConfig(channels=0), r"decoder.channels: got 0"),
        (lambda: NetworkConfig(backbone="vgg"), r"network.backbone: got 'vgg', expected one of"),
        (lambda: NetworkConfig("resnet52", num_classes=255), r"num_classes: got 255"),
        (lambda: NetworkConfig("resnet52", aspp_pool_window=(0, 4)), r"aspp_pool_window"),
        (lambda: NetworkConfig("resnet52", dropout=1.0), r"dropout: got 1.0"),
    ],
)
def test_refuses_values_out_of_range(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(speed=1), r"model\.speed: unknown key, expected one of name, network"),
        (lambda d: d["network"]["depth"].update(unit="ft"), r"model\.network\.depth\.unit: unkn"),
        (lambda d: d["network"].pop("backbone"), r"model\.network\.backbone: missing"),
        (lambda d: d["input"].update(mean=[1.0, 2.0]), r"model\.input\.mean: got \[1\.0, 2\.0\]"),
        (lambda d: d["input"].update(enlarge=1), r"model\.input\.enlarge: got 1, expected a val"),
        (lambda d: d["postprocess"].update(nms_kernel=True), r"nms_kernel: got True"),
        (lambda d: d["postprocess"].update(center_threshold="x"), r"center_threshold: got 'x'"),
        (lambda d: d.update(network=3), r"model\.network: got 3, expected a mapping"),
    ],
)
def test_errors_name_the_path(change, message: str) -> None:
    data = json.loads(json.dumps(LITE0.to_dict()))
    change(data)
    with pytest.raises(ValueError, match=message):
        ModelConfig.from_dict(data)


def test_areas_follow_the_image_only_where_asked() -> None:
    assert PostprocessConfig(stuff_area=2048).stuff_area_at(360, 480) == 2048
    scaled = PostprocessConfig(stuff_area=2048, thing_area=64, area_size=(1024, 2048))
    assert scaled.stuff_area_at(1024, 2048) == 2048
    assert scaled.stuff_area_at(512, 1024) == 512
    assert scaled.thing_area_at(512, 1024) == 16


def test_the_light_models_are_small_enough_to_be_shipped() -> None:
    for name, largest in (("lite0", 4_000_000), ("r50_light", 35_000_000)):
        count = sum(parameter.numel() for parameter in build_network(name).parameters())
        assert 0.9 * largest < count < largest
