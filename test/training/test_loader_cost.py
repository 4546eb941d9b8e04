# SPDX-License-Identifier: Apache-2.0
"""What loading costs is told for each dataset, and how many processes make up for it."""

from __future__ import annotations

import pytest
import yaml

from training.config_file import config_from_dict
from training.loader_cost import ImageCost, describe, main


def raw(root: str) -> dict:
    datasets = {
        "town": {"kind": "cityscapes", "root": root, "weight": 3.0},
        "unused": {"kind": "cityscapes", "root": "nowhere", "weight": 0.0},
    }
    return {
        "model": {"name": "lite0"},
        "datasets": datasets,
        "augment": {"crop": [32, 32]},
        "loop": {"batch_size": 2, "threads": 1},
    }


def test_the_command_line_measures_the_datasets_that_are_used(
    tmp_path, cityscapes_root, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw(str(cityscapes_root))))
    arguments = ["--config", str(path), "--images", "3", "--steps", "1", "--device", "cpu"]
    assert main(arguments) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[1].split()[0] == "town"
    assert all(float(cell) > 0 for cell in table[1].split()[1:])
    assert "unused" not in "".join(table)
    # Measuring leaves no run behind.
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["cityscapes", "config.yaml"]
    assert main([*arguments, "--set", "datasets.unused.weight=1"]) == 1
    assert "nowhere does not exist" in capsys.readouterr().err


def test_datasets_count_by_weight():
    config = raw("")
    config["datasets"]["unused"]["weight"] = 1.0
    costs = {"town": ImageCost(50.0, 8.0, 2.0), "unused": ImageCost(80.0, 48.0, 2.0)}
    # 3/4 of 10 ms and 1/4 of 50 ms are 20 ms.
    text = describe(config_from_dict(config), costs, step=8.0)
    assert "a loader process gives 50.0 images/s" in text
    assert "125.0 images/s" in text
    assert "3 loader process(es) keep up" in text
    share = 20 / 28
    assert f"loading is {share:.1%}" in text


@pytest.mark.parametrize("step", [20.0, 45.0])
def test_one_process_suffices_for_slow_steps(step):
    costs = {"town": ImageCost(50.0, 18.0, 2.0)}
    assert "\n1 loader process(es)" in describe(config_from_dict(raw("")), costs, step)
