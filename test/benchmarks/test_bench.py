# SPDX-License-Identifier: Apache-2.0
"""The benchmark's rivals give one answer, and its report is complete."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import bench, stages
from benchmarks.clock import in_turns


def test_rivals_take_turns() -> None:
    calls: list[str] = []
    times = in_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=4)
    assert "".join(calls) == "ab" + "abba" * 2
    assert times.keys() == {"a", "b"}
    assert all(t["min"] <= t["p50"] <= t["p95"] for t in times.values())


@pytest.mark.parametrize("centers", [0, 3, 200])
def test_literature_plain_and_ours_agree(centers: int) -> None:
    # It raises where they do not.
    times = stages.bench_interpretation(256, 128, centers, rounds=1)
    assert list(times) == ["by centre", "plain", "ours"]
    assert list(stages.bench_centers(256, 128, centers, rounds=1)) == ["literature", "ours"]
    times = stages.bench_grouping(256, 128, centers, rounds=1)
    assert list(times) == ["literature", "by centre", "ours"]


def test_a_wrong_label_stops_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages.literature, "VOID", 7)
    with pytest.raises(AssertionError, match="not equal"):
        stages.bench_grouping(256, 128, 3, rounds=1)


def test_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "SIZES", ((128, 64), (4096, 2048)))
    path = tmp_path / "new" / "bench.json"
    arguments = ["--out", str(path), "--rounds", "1", "--networks", "--largest", "128"]
    arguments += ["--node-frames", "0", "--memory-frames", "0"]
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    bench.main()
    report = json.loads(path.read_text())
    assert report.keys() >= {
        "machine",
        "input 128x64",
        "labels 128x64",
        "overlay 128x64",
        "centres 128x64 K=200",
        "grouping 128x64 K=10",
        "segments 128x64 K=50",
    }
    assert report["peak_memory_mib"] > 0
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines()[1:-1])
