# SPDX-License-Identifier: Apache-2.0
"""The node's benchmark: every figure comes out of real processes, here of few small frames."""

import os

import domain_coordinator
import pytest

from benchmarks import node_bench
from depthlab_core import DepthLab
from depthlab_ros.child_process import PROFILE_VARIABLES

STAGES = {"waiting_p50", "decode_p50", "inference_p50", "handover_p50", "publish_p50"}


@pytest.fixture(autouse=True)
def own_domain(monkeypatch: pytest.MonkeyPatch):
    with domain_coordinator.domain_id() as domain_id:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain_id))
        monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        # The benchmark sets them, and the tests to come are to be without.
        for variable in PROFILE_VARIABLES:
            monkeypatch.setenv(variable, "")
            monkeypatch.delenv(variable)
        yield


def test_overhead_and_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    results = node_bench.bench_node(4, 0, cameras=((96, 64),), inputs=())
    found = results["overhead 96x64"]
    assert found.keys() >= STAGES | {"p50", "p95", "peak_mib"}
    # It holds all of its stages.
    assert found["p95"] >= found["p50"] >= found["publish_p50"] > 0.0
    head, row = capsys.readouterr().out.splitlines()
    assert row.startswith("overhead 96x64")
    assert len(head) == len(row) <= 80
    assert float(row.split()[2]) == pytest.approx(found["p50"], abs=0.06)


def test_end_to_end_takes_longer_than_the_node_alone() -> None:
    found = node_bench.bench_end_to_end("stub", 96, 64, 4)
    assert found["p50"] > found["overhead_p50"] > 0.0
    assert found["fps"] > 0.0
    assert found["peak_mib"] > 100.0


def test_memory_over_many_frames() -> None:
    found = node_bench.bench_memory("stub", 96, 64, 40)
    growth = 100 * (found["last_mib"] / found["first_mib"] - 1)
    assert found["growth_percent"] == pytest.approx(growth, abs=0.05)
    assert found["peak_mib"] >= found["last_mib"] > 100.0


def test_lite0_matches_images_to_another_area() -> None:
    with node_bench.checkpoint_for(128, 64) as path:
        model = DepthLab.load(path, device="cpu", backend="torch")
    assert model.config.input.size == (64, 128)
    assert not os.path.exists(path)
