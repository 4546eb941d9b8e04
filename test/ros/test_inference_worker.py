# SPDX-License-Identifier: Apache-2.0
"""The two threads between arrival and publishing."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from depthlab_ros import inference_worker
from depthlab_ros.image_codec import ConversionError
from depthlab_ros.inference_worker import InferenceWorker


class Stages:
    """Records what passes, and holds back the frames that a test has closed a gate for."""

    def __init__(self) -> None:
        self.inferred: list[str] = []
        self.batches: list[int] = []
        self.most_at_once = 1
        self.published: list[str] = []
        self.given_up: list[tuple[str, str]] = []
        self.gates: dict[str, threading.Event] = {}
        self.worker = InferenceWorker(
            self.infer,
            self.publish,
            lambda camera, text: self.given_up.append((camera, text)),
            lambda: self.most_at_once,
        )

    def hold(self, step: str) -> threading.Event:
        return self.gates.setdefault(step, threading.Event())

    def infer(self, frames: Mapping[str, str]) -> dict[str, str | Exception]:
        if "broken stage" in frames.values():
            raise RuntimeError("all of them")
        self.batches.append(len(frames))
        return {
            camera: self.infer_one(frame)
            for camera, frame in frames.items()
            if frame != "unwanted"
        }

    def infer_one(self, frame: str) -> str | Exception:
        self.inferred.append(frame)
        self._wait(f"infer {frame}")
        errors = {
            "broken": RuntimeError("two\nlines"),
            "no image": ConversionError("got nothing"),
        }
        return errors.get(frame, frame)

    def publish(self, camera: str, result: str) -> None:
        if result == "unpublishable":
            raise ValueError("too large")
        self._wait(f"publish {result}")
        self.published.append(result)

    def _wait(self, step: str) -> None:
        if step in self.gates:
            assert self.gates[step].wait(30)


@pytest.fixture
def stages():
    made = Stages()
    yield made
    for gate in made.gates.values():
        gate.set()
    made.worker.stop()


def test_the_next_frame_is_inferred_while_one_is_published(stages, until):
    gate = stages.hold("publish 1")
    stages.worker.put("front", "1")
    until(lambda: stages.inferred == ["1"])
    stages.worker.put("front", "2")
    until(lambda: stages.inferred == ["1", "2"])
    assert stages.published == []
    gate.set()
    until(lambda: stages.published == ["1", "2"])


def test_behind_a_slow_publisher_frames_are_replaced_and_not_queued(stages, until):
    gate = stages.hold("publish 1")
    stages.worker.put("front", "1")
    until(lambda: stages.inferred == ["1"])
    stages.worker.put("front", "2")
    until(lambda: stages.inferred == ["1", "2"])
    # 1 is held and 2 waits to be published, so the others have to wait.
    for frame in "3456789":
        stages.worker.put("front", frame)
    assert stages.worker.replaced("front") == 6
    gate.set()
    until(lambda: stages.published == ["1", "2", "9"])
    assert stages.inferred == ["1", "2", "9"]


def test_order_is_kept_and_cameras_take_turns(stages, until):
    gate = stages.hold("infer 1")
    stages.worker.put("front", "1")
    until(lambda: stages.inferred == ["1"])
    stages.worker.put("rear", "2")
    stages.worker.put("front", "3")
    stages.worker.put("rear", "4")
    gate.set()
    until(lambda: stages.published == ["1", "4", "3"])


def test_frames_that_wait_at_the_same_time_are_inferred_together(stages, until):
    stages.most_at_once = 2
    gate = stages.hold("infer 1")
    stages.worker.put("front", "1")
    until(lambda: stages.inferred == ["1"])
    for camera, frame in (("rear", "2"), ("front", "3"), ("left", "4"), ("rear", "5")):
        stages.worker.put(camera, frame)
    gate.set()
    until(lambda: stages.published == ["1", "5", "3", "4"])
    assert stages.batches == [1, 2, 1]
    assert stages.worker.replaced("rear") == 1


def test_one_of_a_batch_fails_alone(stages, until):
    stages.most_at_once = 3
    gate = stages.hold("infer 1")
    stages.worker.put("front", "1")
    until(lambda: stages.inferred == ["1"])
    for camera, frame in (("rear", "2"), ("left", "broken"), ("front", "3")):
        stages.worker.put(camera, frame)
    gate.set()
    until(lambda: stages.published == ["1", "2", "3"])
    assert stages.given_up == [("left", "frame failed: RuntimeError: two lines")]
    assert stages.batches == [1, 3]


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ("broken", "frame failed: RuntimeError: two lines"),
        ("broken stage", "frame failed: RuntimeError: all of them"),
        ("no image", "frame dropped: got nothing"),
        ("unpublishable", "frame failed: ValueError: too large"),
    ],
)
def test_a_failure_costs_its_frame_alone(stages, until, frame, text):
    stages.worker.put("front", frame)
    until(lambda: stages.given_up == [("front", text)])
    stages.worker.put("front", "next")
    until(lambda: stages.published == ["next"])
    assert stages.worker.busy_s == 0.0


def test_what_nobody_wants_is_not_published(stages, until):
    stages.worker.put("front", "unwanted")
    until(lambda: stages.batches == [1])
    stages.worker.put("front", "wanted")
    until(lambda: stages.published == ["wanted"])


@pytest.mark.parametrize("step", ["infer 1", "publish 1"])
def test_busy_while_either_stage_is(stages, until, step):
    gate = stages.hold(step)
    stages.worker.put("front", "1")
    until(lambda: stages.worker.busy_s > 0.02)
    gate.set()
    until(lambda: stages.worker.busy_s == 0.0)


def test_a_stage_may_end_while_it_is_asked_for(stages, monkeypatch):
    class Ended(dict):
        """Stages that their threads end as soon as one has listed them."""

        def __getitem__(self, stage: str) -> float:
            raise KeyError(stage)

    with monkeypatch.context() as patch:
        patch.setattr(stages.worker, "_busy_since", Ended(publishing=2.0, inference=1.0))
        assert stages.worker.busy_stage == "inference"
        assert stages.worker.busy_s > 0.0


def test_stopping_finishes_what_is_under_way_and_drops_what_waits(stages, until):
    gate = stages.hold("publish 1")
    stages.worker.put("front", "1")
    until(lambda: stages.inferred == ["1"])
    stages.worker.put("front", "2")
    until(lambda: stages.inferred == ["1", "2"])
    stopping = threading.Thread(target=stages.worker.stop)
    stopping.start()
    until(lambda: stages.worker._slots._closed)
    stages.worker.put("front", "late")
    gate.set()
    stopping.join(30)
    assert stages.published == ["1", "2"]
    assert "late" not in stages.inferred


@pytest.mark.parametrize("step", ["infer 1", "publish 1"])
def test_a_frame_that_hangs_does_not_hold_up_stopping(stages, until, monkeypatch, step):
    gate = stages.hold(step)
    stages.worker.put("front", "1")
    until(lambda: stages.inferred == ["1"] and stages.worker.busy_s > 0.0)
    with monkeypatch.context() as impatient:
        impatient.setattr(inference_worker, "STOP_TIMEOUT_S", 0.01)
        assert not stages.worker.stop()
    stages.worker.put("front", "late")
    gate.set()
    until(lambda: not any(thread.is_alive() for thread in stages.worker._threads))
    assert stages.inferred == stages.published == ["1"]
    assert not stages.worker.resume()


@pytest.mark.parametrize("stage", ["inference", "publishing"])
def test_a_stop_that_was_in_vain_can_be_taken_back(stages, until, monkeypatch, stage):
    gate = stages.hold("infer 1" if stage == "inference" else "publish 1")
    stages.worker.put("front", "1")
    until(lambda: stages.worker.busy_stage == stage)
    with monkeypatch.context() as impatient:
        impatient.setattr(inference_worker, "STOP_TIMEOUT_S", 0.01)
        assert not stages.worker.stop()
    assert stages.worker.resume()
    stages.worker.put("front", "2")
    gate.set()
    until(lambda: stages.published == ["1", "2"])
    assert stages.worker.stop()
    assert stages.worker.busy_stage == ""
