# SPDX-License-Identifier: Apache-2.0
"""Configuration files are read strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.config import ConfigError, DatasetConfig
from training.config_file import load_config

CONFIGS = sorted((Path(__file__).parents[2] / "training" / "configs").glob("*.yaml"))
MINIMAL = "model: {name: lite0}\ndatasets: {streets: {kind: streets}}\n"


@pytest.fixture
def minimal(tmp_path):
    path = tmp_path / "minimal.yaml"
    path.write_text(MINIMAL)
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_supplied_configurations_are_valid(path):
    load_config(path)


def test_defaults_are_those_of_the_reference(minimal):
    config = load_config(minimal)
    assert config.loss.center == 200
    assert config.loss.offset == 0.01
    assert config.targets.sigma == 10
    assert config.loop.iterations == 90_000


def test_the_original_recipe_alone_gives_crowds_centers():
    with_centers = {
        path.stem for path in CONFIGS if not load_config(path).targets.ignore_crowd_in_center
    }
    assert with_centers == {"original_cityscapes_r52"}


def test_overrides_reach_nested_entries(minimal):
    overrides = [
        "optimizer.lr=3e-4",
        "augment.crop=[64, 96]",
        "datasets.camvid.kind=camvid",
        "model.network.depth.output=bounded",
        "output=elsewhere",
    ]
    config = load_config(minimal, overrides)
    assert config.optimizer.lr == 3e-4
    assert config.augment.crop == (64, 96)
    assert set(config.datasets) == {"streets", "camvid"}
    assert config.model.network.depth.output == "bounded"
    assert config.model.network.depth.canonical_focal_length == 500
    assert config.output == "elsewhere"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.rate=1", r"optimizer\.rate: unknown key"),
        ("optimiser.lr=1", "optimiser: unknown key"),
        ("datasets.streets.colour=red", r"datasets\.streets\.colour: unknown key"),
        ("model.network.depth.bias=1", r"model\.network\.depth\.bias: unknown key"),
        ("model.name=r101", r"model\.name: got 'r101'"),
        ("model.name=[lite0]", r"model\.name: got \['lite0'\]"),
        ("optimizer.lr=fast", r"optimizer\.lr: got 'fast'"),
        ("optimizer.lr=-1", r"optimizer\.lr: got -1"),
        ("loss.depth_loss=l2", r"loss\.depth_loss: got 'l2'"),
        ("datasets=3", "datasets: got 3"),
        ("datasets.streets.size=[64]", r"datasets\.streets\.size: got \[64\], expected 2 values"),
        ("targets.class_weights=[1, 2]", r"targets\.class_weights: got 2 values, expected 19"),
        ("datasets.streets.repeat_threshold=2", r"datasets\.streets\.repeat_threshold: got 2"),
        ("datasets.streets.repeat_threshold=0.5", "got a dataset of kind streets, expected files"),
        ("datasets.streets.weight=0", "datasets: none has a positive weight"),
        ("datasets.camvid={kind: camvid, weight: -1}", r"datasets\.camvid\.weight: got -1"),
        ("datasets.streets.frames=0", r"datasets\.streets\.frames: got 0, expected 1 or more"),
        ("datasets.clip={kind: footage, every: 0}", r"datasets\.clip\.every: got 0, expected 1"),
        ("datasets.streets.max_width=0", r"datasets\.streets\.max_width: got 0, expected 1"),
        ("targets.sigma=0", r"targets\.sigma: got 0\.0, expected a positive number of pixels"),
        ("loop.iterations=0", r"loop\.iterations: got 0, expected 1 or more"),
        ("loop.accumulate=0", r"loop\.accumulate: got 0, expected 1 or more"),
        ("loop.log_every=0", r"loop\.log_every: got 0, expected 1 or more"),
        ("loop.pictures_every=0", r"loop\.pictures_every: got 0, expected 1 or more"),
        ("loop.workers=-1", r"loop\.workers: got -1, expected 0 or more"),
        ("loop.threads=0", r"loop\.threads: got 0, expected 1 or more"),
        ("loop.ema_decay=1", r"loop\.ema_decay: got 1\.0, expected 0 or more, below 1"),
        ("loop.seed=-1", r"loop\.seed: got -1, expected 0 or more"),
        ("optimizer.lr=.nan", r"optimizer\.lr: got nan, expected a finite number"),
        ("loss.depth=.inf", r"loss\.depth: got inf, expected a finite number"),
        ("optimizer.warmup_factor=-1", r"optimizer\.warmup_factor: got -1\.0, expected 0 or more"),
        ("optimizer.clip_norm=0", r"optimizer\.clip_norm: got 0\.0, expected above 0"),
        ("augment.flip=2", r"augment\.flip: got 2\.0, expected 0 to 1"),
        ("augment.hole_erosion=-1", r"augment\.hole_erosion: got -1, expected 0 or more"),
        ("augment.hue=200", r"augment\.hue: got 200\.0, expected 0 to 180"),
        ("targets.depth_balance=2", r"targets\.depth_balance: got 2\.0, expected 0 to 1"),
        ("targets.small_instance_weight=-1", r"targets\.small_instance_weight: got -1\.0"),
        (f"targets.class_weights=[{'1, ' * 18}-1]", r"targets\.class_weights: .* 0 or more each"),
        ("targets.max_depth=0", r"targets\.max_depth: got 0\.0, expected a positive number of m"),
        ("loss.center=-1", r"loss\.center: got -1\.0, expected 0 or more"),
        ("self_training={start: -1}", r"self_training\.start: got -1, expected 0 or more"),
        ("datasets.streets.seed=-1", r"datasets\.streets\.seed: got -1, expected 0 or more"),
        ("datasets.streets.size=[0, 64]", r"size: got \(0, 64\), expected 16 or more each"),
        ("model.network.num_classes=5", r"num_classes: got 5, expected 19, as the labels have"),
        (
            "datasets.clip={kind: footage, weight: 0.5}",
            r"datasets\.clip\.weight: got 0\.5 for footage, .* expected 0 or a section self_tr",
        ),
        (
            "datasets.streets.only=[]",
            r"datasets\.streets\.only: got no numbers, expected at least",
        ),
        ("loop.seed", "expected path.to.entry=value"),
        ("output.x=1", "output is|output: got"),
    ],
)
def test_mistakes_are_named_by_path(minimal, override, message):
    with pytest.raises(ConfigError, match=message):
        load_config(minimal, [override])


def test_an_unreadable_file_is_one_error(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.yaml"):
        load_config(tmp_path / "nothing.yaml")
    broken = tmp_path / "broken.yaml"
    for content in (b"model: [", b"model:\n\tname: lite0\n", b"\xff\xfe\x00weights"):
        broken.write_bytes(content)
        with pytest.raises(ConfigError, match=r"broken\.yaml: cannot be read: ") as error:
            load_config(broken)
        assert "\n" not in str(error.value)


def test_an_override_that_is_no_yaml_is_one_line(minimal):
    with pytest.raises(ConfigError, match=r"--set loop\.seed=\[1: the value is not YAML") as error:
        load_config(minimal, ["loop.seed=[1"])
    assert "\n" not in str(error.value)


def test_a_dataset_lies_in_its_root_or_under_the_variable(monkeypatch, tmp_path):
    config = DatasetConfig(kind="camvid")
    monkeypatch.setenv("DEPTHLAB_DATA", str(tmp_path))
    assert config.folder("camvid") == tmp_path / "camvid"
    assert DatasetConfig(kind="camvid", root="/x").folder("camvid") == Path("/x")
    monkeypatch.delenv("DEPTHLAB_DATA")
    with pytest.raises(ConfigError, match=r"datasets\.camvid\.root"):
        config.folder("camvid")
