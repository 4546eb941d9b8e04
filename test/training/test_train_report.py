# SPDX-License-Identifier: Apache-2.0
"""What a run shows of itself: curves, pictures, and the evaluation at its end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training import final_report
from training.config_file import config_from_dict
from training.datasets.cityscapes_layout import CityscapesLayout
from training.train import main, train

CPU = torch.device("cpu")


def test_tensorboard_gets_scalars_and_pictures_and_the_run_a_report(
    tmp_path, caplog, small_config
):
    caplog.set_level("INFO", logger="training")
    raw = small_config(tmp_path, iterations=2, pictures_every=2, report_frames=2)
    train(config_from_dict(raw), CPU)
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    assert {"loss/total", "loss/depth", "lr", "val_streets/pq"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("loss/total")] == [1, 2]
    panels = ("input", "panoptic", "panoptic_true", "depth", "depth_true", "depth_error")
    assert set(events.Tags()["images"]) == {f"streets/{panel}" for panel in panels}
    picture = events.Images("streets/input")[0]
    # Small frames are enlarged, for text to find room.
    assert (picture.step, picture.width, picture.height) == (2, 512, 256)
    assert "streets val" in (tmp_path / "report" / "streets" / "report.html").read_text()
    assert json.loads((tmp_path / "report" / "streets" / "figures.json").read_text())["pq"] >= 0
    assert "By class" in caplog.text


def test_a_dataset_without_validation_part_gets_no_report(
    tmp_path, cityscapes_root, caplog, small_config
):
    raw = small_config(tmp_path / "out", iterations=1, report_frames=2)
    raw["datasets"] = {"town": {"kind": "cityscapes", "root": str(cityscapes_root)}}
    train(config_from_dict(raw), CPU)
    assert "no report on town" in caplog.text
    assert "leftImg8bit/val does not exist" in caplog.text


def test_the_report_may_be_about_what_was_learned(tmp_path, cityscapes_root, caplog, small_config):
    caplog.set_level("INFO", logger="training")
    raw = small_config(tmp_path / "out", iterations=1, report_frames=2, report_split="train")
    raw["datasets"] = {"town": {"kind": "cityscapes", "root": str(cityscapes_root)}}
    train(config_from_dict(raw), CPU)
    assert "after 1 steps on town train" in caplog.text
    assert (tmp_path / "out" / "report" / "town" / "figures.json").exists()


def test_the_report_does_without_labels_that_have_no_files(
    tmp_path, cityscapes_root, small_config
):
    for folder in ("disparity", "camera"):
        shutil.rmtree(cityscapes_root / folder)
    raw = small_config(tmp_path / "out", iterations=1, report_frames=2, report_split="train")
    town = {"kind": "cityscapes", "root": str(cityscapes_root), "depth": False}
    raw["datasets"] = {"town": town}
    train(config_from_dict(raw), CPU)
    figures = json.loads((tmp_path / "out" / "report" / "town" / "figures.json").read_text())
    assert figures["pq"] >= 0
    assert "abs_rel" not in figures


def test_an_interrupted_report_is_made_by_the_same_command(
    tmp_path, monkeypatch, capsys, small_config
):
    config = tmp_path / "config.yaml"
    raw = small_config(tmp_path / "out", iterations=1, report_frames=1)
    config.write_text(yaml.safe_dump(raw))

    def interrupted(*arguments, **options):
        # What Python makes of Ctrl-C; tests before this one may have set another handler.
        raise KeyboardInterrupt

    monkeypatch.setattr(final_report, "evaluate", interrupted)
    assert main(["--config", str(config), "--device", "cpu"]) == 130
    assert capsys.readouterr().err.endswith("interrupted: the same command goes on\n")
    monkeypatch.undo()
    assert main(["--config", str(config), "--device", "cpu"]) == 0
    assert (tmp_path / "out" / "report" / "streets" / "figures.json").exists()


def test_the_report_is_about_each_whole_frame_once(
    tmp_path, cityscapes_root, monkeypatch, small_config
):
    opened = []
    build = final_report.build_dataset

    def noted(name, config):
        opened.append(build(name, config))
        return opened[-1]

    monkeypatch.setattr(final_report, "build_dataset", noted)
    raw = small_config(tmp_path, iterations=1, report_frames=50, report_split="train")
    reduced = {"repeat_threshold": 1.0, "max_width": 64}
    raw["datasets"] = {
        "town": {"kind": "cityscapes", "root": str(cityscapes_root), **reduced},
        "real": {
            "kind": "lidar",
            "root": str(write_lidar_frames(tmp_path / "real", 3)),
            "split": "val",
            "only": [0, 2],
            "weight": 0,
            "validate": True,
        },
    }
    train(config_from_dict(raw), CPU)
    plain = CityscapesLayout(cityscapes_root, "train")
    assert len(opened[0]) == len(plain)
    assert opened[0][0].image.shape == plain[0].image.shape
    # A dataset without parts: its frames are those that were named.
    assert [frame.name for frame in (opened[1][0], opened[1][1])] == ["0", "2"]


def write_lidar_frames(folder: Path, count: int) -> Path:
    folder.mkdir()
    frames = []
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), np.zeros((64, 96, 3), np.uint8))
        np.savez(folder / f"{number}.npz", depth=np.ones((64, 96), np.float32))
        names = {"image": f"{number}.png", "depth": f"{number}.npz"}
        frames.append({**names, "K": [50.0, 50.0, 48.0, 32.0]})
    (folder / "index.json").write_text(json.dumps(frames))
    return folder
