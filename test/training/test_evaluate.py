# SPDX-License-Identifier: Apache-2.0
"""Evaluation measures what the labels allow, and ideal predictions come out ideal."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from depthlab_core.checkpoint import save_checkpoint
from depthlab_core.labels import CITYSCAPES
from depthlab_core.model_zoo import MODELS
from depthlab_core.network import build_network
from depthlab_core.prediction import Prediction
from depthlab_core.predictor import DepthLab
from depthlab_core.segments import compute_segments
from training.datasets.camvid import CamVid
from training.datasets.sample import DatasetError
from training.evaluate import Evaluation, evaluate, main
from training.pictures import draw_depth, draw_error, draw_panels
from training.report_tables import page_tables
from training.results_table import as_text, write_json


def ideal(sample) -> Prediction:
    depth = np.where(sample.depth > 0, sample.depth, np.nan).astype(np.float32)
    sure = np.ones(depth.shape, np.float32)
    segments, id_map = compute_segments(sample.panoptic, depth, sure, sure, CITYSCAPES)
    return Prediction(
        panoptic_map=sample.panoptic,
        semantic_map=(sample.panoptic // 1000).astype(np.uint8),
        id_map=id_map,
        depth=depth,
        segments=segments,
        focal_length=sample.focal_length,
        focal_length_assumed=False,
        timings={},
    )


def test_the_truth_scores_full_marks(street_samples):
    evaluation = Evaluation(CITYSCAPES)
    for sample in street_samples:
        figures = evaluation.update(ideal(sample), sample)
        assert figures == pytest.approx({"pq": 1, "abs_rel": 0})
    result = evaluation.result()
    for name in (
        "pq",
        "sq",
        "rq",
        "ap",
        "ap50",
        "miou",
        "delta1",
        "coverage",
        "dpq",
        "thing_height",
    ):
        assert result[name] == pytest.approx(1), name
    for name in ("abs_rel", "rmse", "segment_depth"):
        assert result[name] == pytest.approx(0, abs=1e-6), name


def test_a_frame_without_labels_has_no_figures_to_rank_it_by(street_samples):
    sample = street_samples[0]
    nothing = np.full(sample.panoptic.shape, -1, np.int32)
    void = replace(sample, panoptic=nothing, depth=np.zeros_like(sample.depth))
    coarse = replace(void, semantic=np.full(nothing.shape, 255, np.uint8))
    prediction = replace(ideal(void), semantic_map=np.zeros(nothing.shape, np.uint8))
    evaluation = Evaluation(CITYSCAPES)
    assert evaluation.update(prediction, void) == {}
    assert evaluation.update(prediction, coarse) == {}


class Model:
    """Sees nothing."""

    labels = CITYSCAPES

    def predict(self, image, *_):
        raise ValueError("image: got this, expected that")


@pytest.mark.parametrize("name", ["semantic", "panoptic", "depth"])
def test_labels_of_another_size_are_named(street_samples, name):
    sample = street_samples[0]
    turned = replace(sample, **{name: np.zeros((96, 64), np.int32)})
    expected = rf"^{sample.name}: {name}: got \(96, 64\), expected \(64, 96\) as its image has$"
    with pytest.raises(DatasetError, match=expected):
        evaluate(Model(), [turned])


def test_models_of_other_classes_are_refused_where_these_are_compared(street_samples):
    model, sample = Model(), street_samples[0]
    model.labels = replace(CITYSCAPES, name="indoor")
    with pytest.raises(DatasetError, match="got 'indoor', expected 'cityscapes'"):
        evaluate(model, [sample])
    with pytest.raises(DatasetError, match=f"^{sample.name}: image: got this, expected that$"):
        evaluate(model, [replace(sample, panoptic=None)])


def streets(frames: int) -> list[str]:
    return ["--dataset", "streets", "--frames", str(frames), "--size", "128x64"]


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "model.safetensors"
    state = build_network("lite0").state_dict()
    save_checkpoint(path, state, MODELS["lite0"], CITYSCAPES, {})
    return path


def test_the_command_line_writes_the_figures(checkpoint, tmp_path, capsys):
    arguments = ["--checkpoint", str(checkpoint), *streets(2)]
    target = tmp_path / "new" / "figures.json"
    assert main([*arguments, "--limit", "1", "--json", str(target), "--device", "cpu"]) == 0
    figures = json.loads(target.read_text())
    assert {"pq", "miou", "abs_rel", "dpq"} <= figures.keys()
    assert "abs_rel" in capsys.readouterr().out


def test_only_frames_of_some_names_are_counted(street_samples):
    counted = []

    class Model:
        labels = CITYSCAPES

        def predict(self, image, *_):
            sample = next(s for s in street_samples if s.image is image)
            counted.append(sample.name)
            return ideal(sample)

    chosen = street_samples[1].name
    _, frames = evaluate(Model(), street_samples, names=f"*{chosen[-3:]}")
    assert [frame.name for frame in frames] == counted == [chosen]


def test_names_that_no_frame_has_are_one_line(checkpoint, capsys):
    arguments = ["--checkpoint", str(checkpoint), *streets(1), "--device", "cpu"]
    assert main([*arguments, "--names", "night*"]) == 1
    assert capsys.readouterr().err.endswith("error: --names night*: no frame has such a name\n")
    arguments = ["--checkpoint", str(checkpoint), *streets(3), "--device", "cpu"]
    assert main([*arguments, "--names", "*2", "--limit", "1"]) == 1
    expected = "error: --names *2: no frame of the 1 that --limit leaves has such a name\n"
    assert capsys.readouterr().err.endswith(expected)


@pytest.mark.parametrize(("kind", "left"), [("depth", "miou"), ("panoptic", "abs_rel")])
def test_kinds_of_labels_without_files_can_be_left_out(
    checkpoint, cityscapes_root, tmp_path, capsys, kind, left
):
    for folder in {"depth": ("disparity", "camera"), "panoptic": ("gtFine",)}[kind]:
        shutil.rmtree(cityscapes_root / folder)
    target = tmp_path / "figures.json"
    arguments = ["--checkpoint", str(checkpoint), "--device", "cpu", "--json", str(target)]
    arguments += ["--dataset", "cityscapes", "--root", str(cityscapes_root), "--split", "train"]
    assert main(arguments) == 1
    assert "does not exist" in capsys.readouterr().err
    assert main([*arguments, "--without", kind]) == 0
    assert {"miou", "abs_rel"} & json.loads(target.read_text()).keys() == {left}


def test_coarse_labels_give_the_coarse_classes(checkpoint, camvid_root, capsys):
    arguments = ["--checkpoint", str(checkpoint), "--dataset", "camvid", "--split", "train"]
    assert main([*arguments, "--root", str(camvid_root), "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^class +iou$", printed, re.MULTILINE)
    assert re.search(r"^car +0\.\d+$", printed, re.MULTILINE)
    assert "abs_rel" not in printed
    assert len(CamVid(camvid_root, "train")) == 1


def test_the_report_shows_tables_and_each_chosen_frame(checkpoint, tmp_path, capsys):
    folder = tmp_path / "new" / "report"
    arguments = ["--checkpoint", str(checkpoint), *streets(3)]
    assert main([*arguments, "--report", str(folder), "--device", "cpu"]) == 0
    assert "report.html" in capsys.readouterr().out
    page = (folder / "report.html").read_text()
    assert re.findall(r"(?:src|href)='(?!data:)[^']*'", page) == []
    # Two best and one worst, by each of two figures, in six pictures.
    pictures = re.findall(r"<img alt='(\w+)' src='data:image/jpeg;base64,", page)
    panels = ["input", "panoptic", "panoptic_true", "depth_error", "depth", "depth_true"]
    assert pictures == panels * 6


def test_the_report_shows_the_depth_that_was_measured(checkpoint, tmp_path, monkeypatch):
    heights = []
    predict = DepthLab.predict

    def noted(model, image, focal_length=None, camera_height=None):
        heights.append(camera_height)
        return predict(model, image, focal_length, camera_height)

    monkeypatch.setattr(DepthLab, "predict", noted)
    arguments = ["--checkpoint", str(checkpoint), *streets(1), "--device", "cpu"]
    assert main([*arguments, "--camera-height", "1.5", "--report", str(tmp_path)]) == 0
    # Once for the figures, once for each picture's ranking.
    assert heights == [1.5] * 3


def test_the_report_has_a_place_for_every_figure(street_samples):
    evaluation = Evaluation(CITYSCAPES)
    for sample in street_samples:
        evaluation.update(ideal(sample), sample)
    # A value of its own for each figure, to be found again.
    results = {name: number / 1000 for number, name in enumerate(evaluation.result(), 1)}
    tables = page_tables(results)
    values = [cell for table in tables for row in table.rows for cell in row[1:] if cell != "–"]
    assert len(values) == len(results)
    assert [table.columns for table in tables if table.title == "Classes"] == [
        ("", "PQ", "IoU", "AP", "depth error")
    ]
    quality = tables[0]
    assert quality.rows[1] == (
        "things",
        *(f"{results[name]:.1%}" for name in ("pq_things", "sq_things", "rq_things")),
    )


def test_figures_of_nothing_leave_no_row_behind():
    nothing = {f"{figure}_things": math.nan for figure in ("pq", "sq", "rq")}
    results = {"pq": 0.5, "sq": 0.6, "rq": 0.7, **nothing, "miou": math.nan}
    [table] = page_tables(results)
    assert table.rows == [("all classes", "50.0%", "60.0%", "70.0%")]


def test_figures_of_nothing_are_null_in_json_and_a_dash_in_text(tmp_path):
    results = {"pq": 0.5, "pq_things": math.nan}
    write_json(results, tmp_path / "figures.json")

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    text = (tmp_path / "figures.json").read_text()
    assert json.loads(text, parse_constant=refuse) == {"pq": 0.5, "pq_things": None}
    assert as_text(results).split() == ["pq", "0.5000", "pq_things", "-"]


def test_coarse_truth_is_drawn_as_its_likeliest_class(camvid_root):
    sample = CamVid(camvid_root, "train")[0]
    panoptic = np.where(sample.semantic == 201, 13000, 0).astype(np.int32)
    prediction = replace(
        ideal(replace(sample, panoptic=panoptic, depth=np.ones(panoptic.shape), focal_length=1.0)),
        depth=np.full(panoptic.shape, np.nan, np.float32),
    )
    panels = draw_panels(sample, prediction, CITYSCAPES)
    assert panels.keys() == {"input", "panoptic", "panoptic_true", "depth"}
    # 80 pixels wide is too small for text: seven times as large.
    assert {picture.shape for picture in panels.values()} == {(420, 560, 3)}
    # A corner of the car, far from its tag: tinted alike in truth and prediction.
    truth, predicted, image = (
        panels[name][7 * 31, 7 * 11].astype(int) for name in ("panoptic_true", "panoptic", "input")
    )
    assert (truth == predicted).all()
    assert (truth != image).any()
    # Unlabelled rows keep their colour.
    assert (panels["panoptic_true"][3, 3] == panels["input"][3, 3]).all()


@pytest.mark.parametrize("name", ["pq", "segment_depth_mean", "median_ratio_before"])
def test_overall_figures_stand_straight(name):
    lines = as_text({name: 1.0} | {f"figure{n}": 0.5 for n in range(9)}).splitlines()
    assert max(map(len, lines)) <= 80
    ends = [[match.end() for match in re.finditer(r"\d\.\d{4}", line)] for line in lines]
    assert all(end == ends[0][: len(end)] for end in ends)


def test_the_table_fits_80_columns(street_samples):
    evaluation = Evaluation(CITYSCAPES)
    for sample in street_samples:
        evaluation.update(ideal(sample), sample)
    text = as_text(evaluation.result())
    assert max(map(len, text.splitlines())) <= 80
    assert "traffic sign" in text
    assert "10 to 20 m " in text
    assert "10 to 20 px " in text
    assert "inf" not in text


def test_pictures_of_depth_and_error():
    depth = np.array([[3.0, 60.0, np.nan]])
    red, blue, unknown = draw_depth(depth)[0].astype(int)
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert (unknown == 70).all()
    right, wrong, silent, untold = draw_error(
        np.array([[2.0, 3.0, np.nan, 1.0]]), np.array([[2.0, 2.0, 2.0, 0.0]])
    )[0].astype(int)
    assert right.sum() < 10
    assert wrong.sum() > 400
    assert (silent == wrong).all()
    assert (untold == 70).all()


def test_mistakes_are_one_line(tmp_path, capsys):
    arguments = ["--checkpoint", str(tmp_path / "none"), *streets(1)]
    assert main(arguments) == 1
    assert "none" in capsys.readouterr().err
    (tmp_path / "file").touch()
    outputs = (f"--json={tmp_path}", f"--report={tmp_path / 'file'}")
    for option in ("--limit=0", "--camera-height=0", "--max-depth=-1", *outputs):
        with pytest.raises(SystemExit):
            main([*arguments, option])
        assert f"argument {option.split('=')[0]}: got " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*arguments, "--size", "0x64"])
    assert "argument --size: got '0x64', expected " in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--checkpoint", "lite0", "--dataset", "footage", "--root", str(tmp_path)])
    assert "argument --dataset: invalid choice: 'footage'" in capsys.readouterr().err
