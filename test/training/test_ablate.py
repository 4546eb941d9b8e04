# SPDX-License-Identifier: Apache-2.0
"""An ablation tries every combination with every seed, once, and says what came out."""

from __future__ import annotations

import copy
import functools
import json
import operator
from pathlib import Path

import cv2
import pytest
import yaml

from training.ablate import check_earlier_runs, draw_streets, figures_of, main, run, run_folder
from training.ablation import Ablation, Streets, load_ablation
from training.ablation_table import table
from training.config import ConfigError, DatasetConfig
from training.config_file import load_config, with_overrides
from training.scales import warn_of_other_scale

ABLATIONS = sorted((Path(__file__).parents[2] / "training" / "ablations").glob("*.yaml"))
TINY = {
    "streets": {"size": [64, 96], "train": 2, "val": 1},
    "config": {
        "model": {"name": "lite0"},
        "datasets": {"streets": {"kind": "cityscapes", "keep_in_memory": True}},
        "augment": {"crop": [64, 96]},
        "loop": {
            "iterations": 1,
            "batch_size": 2,
            "workers": 0,
            "threads": 1,
            "tensorboard": False,
            "report_frames": 1,
        },
    },
    "axes": {
        "loss": {"log L1": ["loss.depth_loss=log_l1"], "broken": ["loss.depth=1e39"]},
        "flip": {"often": ["augment.flip=0.5"]},
    },
    "seeds": [0],
    "figures": ["abs_rel"],
}


def ablation(figures=("abs_rel", "delta1"), seeds=(0, 1)) -> Ablation:
    axes = {"loss": {"A": (), "B": ()}, "output": {"X": ()}}
    return Ablation(config={}, axes=axes, figures=figures, seeds=seeds)


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda path: path.stem)
def test_the_supplied_ablations_are_valid(path):
    assert len(list(load_ablation(path).combinations())) > 1


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda path: path.stem)
def test_the_supplied_ablations_evaluate_at_a_scale_that_they_train_at(path, caplog):
    ablation = load_ablation(path)
    config = with_overrides(ablation.config, [])
    streets = DatasetConfig(kind="streets", size=ablation.streets.size)
    warn_of_other_scale("streets", [], streets, config.augment, config.model.input)
    assert caplog.text == ""


def test_the_table_shows_mean_and_spread_and_marks_the_best():
    text = table(
        ablation(),
        {
            ("A", "X"): [{"abs_rel": 0.1, "delta1": 0.5}, {"abs_rel": 0.3, "delta1": 0.7}],
            ("B", "X"): [{"abs_rel": 0.25, "delta1": 0.8}, {"abs_rel": 0.25, "delta1": 0.8}],
        },
    )
    assert text.splitlines() == [
        "| loss | output | `abs_rel` | `delta1` |",
        "| --- | --- | --- | --- |",
        "| A | X | **0.200** ± 0.141 | 0.600 ± 0.141 |",
        "| B | X | 0.250 ± 0.000 | **0.800** ± 0.000 |",
    ]


def test_figures_of_other_datasets_have_their_name_before_them(tmp_path):
    for name, value in (("streets", 0.1), ("real", 0.7)):
        path = tmp_path / "report" / name / "figures.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"abs_rel": value, "miou": 1 - value, "pq": None}))
    assert figures_of(tmp_path) == {
        "abs_rel": 0.1,
        "miou": 0.9,
        "real:abs_rel": 0.7,
        "real:miou": pytest.approx(0.3),
    }
    assert figures_of(tmp_path / "elsewhere") is None
    runs = {("A", "X"): [{"real:abs_rel": 0.1}], ("B", "X"): [{"real:abs_rel": 0.2}]}
    assert "| A | X | **0.100** |" in table(ablation(("real:abs_rel",), (0,)), runs)


@pytest.mark.parametrize("name", ["median_ratio", "thing_height"])
def test_the_best_ratio_is_the_one_nearest_to_1(name):
    figures = {("A", "X"): [{name: 0.9}], ("B", "X"): [{name: 1.3}]}
    text = table(ablation((name,), seeds=(0,)), figures)
    assert text.splitlines()[2:] == ["| A | X | **0.900** |", "| B | X | 1.300 |"]


@pytest.mark.parametrize("name", ["abs_rel_border", "abs_rel_interior", "segment_depth_mean"])
def test_the_best_error_is_the_smallest(name):
    figures = {("A", "X"): [{name: 0.2}], ("B", "X"): [{name: 0.1}]}
    text = table(ablation((name,), seeds=(0,)), figures)
    assert text.splitlines()[2:] == ["| A | X | 0.200 |", "| B | X | **0.100** |"]


def test_runs_that_failed_are_told():
    text = table(ablation(figures=("abs_rel",)), {("A", "X"): [{"abs_rel": 0.1}], ("B", "X"): []})
    assert "| A | X | **0.100** (1 of 2 runs ended) |" in text
    assert "| B | X | - (0 of 2 runs ended) |" in text


def test_every_combination_is_trained_once(tmp_path, capsys):
    path, out = tmp_path / "tiny.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(TINY, sort_keys=False))
    assert main(["--ablation", str(path), "--out", str(out), "--jobs", "2"]) == 1
    printed = capsys.readouterr().out
    assert "log L1 / often, seed 0: done" in printed
    assert "broken / often, seed 0: failed, see" in printed
    assert (out / "table.md").read_text().count("- (0 of 1 runs ended)") == 1
    done = run_folder(out, ("log L1", "often"), 0)
    assert load_config(done / "config.yaml").loss.depth_loss == "log_l1"

    figures = done / "report" / "streets" / "figures.json"
    figures.write_text(json.dumps({"abs_rel": 7.0}))
    main(["--ablation", str(path), "--out", str(out)])
    assert "| log L1 | often | **7.000** |" in (out / "table.md").read_text()

    capsys.readouterr()
    for change, said in (
        (["config", "augment", "crop", [32, 96]], "augment.crop: [64, 96] -> (32, 96)"),
        (["config", "targets", {"sigma": 4}], "targets.sigma: 10.0 -> 4.0"),
        (["streets", "seed", 1], "streets was made with other settings (seed: 0 -> 1)"),
    ):
        edited = copy.deepcopy(TINY)
        *parents, key, value = change
        functools.reduce(operator.getitem, parents, edited)[key] = value
        path.write_text(yaml.safe_dump(edited, sort_keys=False))
        assert main(["--ablation", str(path), "--out", str(out)]) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
        assert json.loads(figures.read_text()) == {"abs_rel": 7.0}

    # The folder may have another name now.
    out.rename(tmp_path / "moved")
    path.write_text(yaml.safe_dump(TINY, sort_keys=False))
    check_earlier_runs(load_ablation(path), tmp_path / "moved")
    (run_folder(tmp_path / "moved", ("log L1", "often"), 0) / "config.yaml").write_text("")
    with pytest.raises(ConfigError, match=r"config\.yaml: got no settings in YAML"):
        check_earlier_runs(load_ablation(path), tmp_path / "moved")


def test_a_run_that_was_killed_between_two_reports_is_done_again(tmp_path, monkeypatch):
    two = ablation(("abs_rel", "real:miou"), (0,))
    folder = run_folder(tmp_path, ("A", "X"), 0)
    reports = iter([["streets"], ["streets", "real"]])

    def train(command, **options):
        for name in next(reports):
            path = folder / "report" / name / "figures.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"abs_rel": 0.1, "miou": 0.7}))

    monkeypatch.setattr("training.ablate.subprocess.run", train)
    assert run(two, ("A", "X"), 0, tmp_path) is None
    assert run(two, ("A", "X"), 0, tmp_path)["real:miou"] == 0.7
    # Done: a third training would find no reports to write.
    assert run(two, ("A", "X"), 0, tmp_path)["abs_rel"] == 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axes": {"loss": {"odd": ["loss.depth_loss=l3"]}}}, r"loss\.depth_loss: got 'l3'"),
        ({"seeds": 3}, r"tiny\.yaml\.seeds: got 3, expected a list"),
        (
            {"figures": ["abs_rel", "real:miou"]},
            r"tiny\.yaml\.figures: got figures of real, expected datasets that often / broken",
        ),
        ({"grid": {}}, r"tiny\.yaml\.grid: unknown key"),
        ({"seeds": []}, r"seeds: got \(\), expected at least one"),
        ({"streets": {"train": 0}}, r"streets\.train: got 0, expected 1 or more"),
        (
            {"streets": {"size": [8, 64]}},
            r"streets\.size: got \(8, 64\), expected 16 or more each",
        ),
        ({"axes": [1]}, r"tiny\.yaml\.axes: got \[1\], expected a mapping"),
    ],
)
def test_mistakes_are_named_before_anything_is_drawn(tmp_path, change, message):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({**TINY, **change}))
    with pytest.raises(ConfigError, match=message):
        load_ablation(path)


def test_ctrl_c_is_one_line(tmp_path, monkeypatch, capsys):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("training.ablate.draw_streets", lambda *arguments: None)
    monkeypatch.setattr("training.ablate.run", interrupted)
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    assert main(["--ablation", str(path), "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err == "interrupted: the same command goes on\n"
    assert not (tmp_path / "out" / "table.md").exists()


def test_settings_whose_runs_would_share_a_folder_are_refused(tmp_path):
    axes = {"bias": {"-0.5": (), "+0.5": ()}}
    twins = Ablation(config=TINY["config"], axes=axes)
    with pytest.raises(
        ConfigError, match=r"axes: got -0\.5 and \+0\.5, expected names that differ"
    ):
        check_earlier_runs(twins, tmp_path)


def test_the_command_line_names_a_mistake_in_one_line(tmp_path, capsys):
    assert main(["--ablation", str(tmp_path / "none.yaml"), "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_an_interrupted_drawing_goes_on_after_its_last_whole_frame(tmp_path):
    streets = Streets(size=(16, 32), train=3, val=1)
    draw_streets(streets, tmp_path)
    index = tmp_path / "gtFine" / "cityscapes_panoptic_train.json"
    whole = index.read_text()
    cut = json.loads(whole)
    del cut["images"][1:], cut["annotations"][1:]
    index.write_text(json.dumps(cut))
    first, second = sorted((tmp_path / "leftImg8bit" / "train").glob("*/*.png"))[:2]
    kept = first.stat().st_mtime_ns
    second.write_bytes(b"")
    draw_streets(streets, tmp_path)
    assert index.read_text() == whole
    assert cv2.imread(str(second)).shape == (16, 32, 3)
    assert first.stat().st_mtime_ns == kept
