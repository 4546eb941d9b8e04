# SPDX-License-Identifier: Apache-2.0
"""Things in hand-made streams keep their ids; approaching boxes have the speed they were given."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depthlab_core import CITYSCAPES
from depthlab_core.segments import Segment, compute_segments
from depthlab_core.track import TrackerConfig, TrackState
from depthlab_core.tracking import Tracker

PERSON, RIDER, CAR, TRUCK, BICYCLE = 11, 12, 13, 14, 18
SIZE = (120, 320)
RATE = 10.0


@dataclass(frozen=True)
class Box:
    """A thing that fills a box; nearer ones hide farther ones."""

    name: str
    category: int
    x: float
    y: float
    width: float
    height: float
    depth: float = 10.0


def see(
    boxes: list[Box], size: tuple[int, int] = SIZE
) -> tuple[list[Segment], np.ndarray, dict[str, int]]:
    """Return segments, id map and the segment id of each box that is to be seen."""
    panoptic = np.zeros(size, np.int32)
    depth = np.full(size, 20.0, np.float32)
    for number, box in sorted(enumerate(boxes, start=1), key=lambda pair: -pair[1].depth):
        left, top = round(box.x), round(box.y)
        right, bottom = round(box.x + box.width), round(box.y + box.height)
        window = np.s_[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        panoptic[window] = box.category * 1000 + number
        depth[window] = box.depth
    ones = np.ones(size, np.float32)
    segments, id_map = compute_segments(panoptic, depth, ones, ones, CITYSCAPES)
    numbers = {segment.panoptic_id % 1000: segment.id for segment in segments if segment.is_thing}
    names = {box.name: numbers[n] for n, box in enumerate(boxes, start=1) if n in numbers}
    return segments, id_map, names


class Stream:
    """A tracker and a clock."""

    def __init__(self, config: TrackerConfig | None = None) -> None:
        self.tracker = Tracker(config)
        self.stamp = 100.0

    def step(self, *boxes: Box, dt: float = 1 / RATE) -> dict[str, TrackState]:
        self.stamp += dt
        segments, id_map, names = see(list(boxes))
        states = self.tracker.update(segments, id_map, self.stamp)
        assert set(states) == {segment.id for segment in segments if segment.is_thing}
        assert len({state.track_id for state in states.values()}) == len(states)
        return {name: states[segment_id] for name, segment_id in names.items()}


def ids(states: dict[str, TrackState]) -> dict[str, int]:
    return {name: state.track_id for name, state in states.items()}


def test_ids_do_not_depend_on_the_order_of_segments() -> None:
    stream = Stream()
    a, b = Box("a", CAR, 20, 40, 40, 30), Box("b", CAR, 200, 40, 40, 30)
    first = ids(stream.step(a, b))
    assert sorted(first.values()) == [1, 2]
    second = stream.step(replace(b, x=203), replace(a, x=22))
    assert ids(second) == first
    assert second["a"].age == 2


def test_two_people_cross() -> None:
    stream = Stream()
    for frame in range(50):
        seen = stream.step(
            Box("near", PERSON, 40 + 4 * frame, 30, 24, 60, 6.0),
            Box("far", PERSON, 240 - 4 * frame, 36, 18, 44, 9.0),
        )
        if frame == 0:
            first = ids(seen)
        assert {name: first[name] for name in seen} == ids(seen)
    assert "far" in seen


def test_two_equally_far_cars_pass_side_by_side() -> None:
    stream = Stream()
    for frame in range(40):
        seen = stream.step(
            Box("up", CAR, 100 + 3 * frame, 20, 40, 25),
            Box("down", CAR, 220 - 3 * frame, 45, 40, 25),
        )
        if frame == 0:
            first = ids(seen)
        assert ids(seen) == first


def test_a_car_comes_back_from_behind_another() -> None:
    stream = Stream()
    wall = Box("wall", TRUCK, 120, 20, 60, 70, 5.0)
    hidden = 0
    for frame in range(60):
        seen = stream.step(wall, Box("car", CAR, 40 + 5 * frame, 45, 30, 25, 12.0))
        if frame == 0:
            first = ids(seen)
        hidden += "car" not in seen
        assert all(first[name] == state.track_id for name, state in seen.items())
    assert hidden >= 3
    assert seen.get("wall") is not None


@pytest.mark.parametrize("missed", [1, 3, 8])
def test_a_few_missed_frames(missed: int) -> None:
    stream = Stream()
    walker = Box("walker", PERSON, 40, 40, 16, 40)
    for frame in range(10):
        before = stream.step(replace(walker, x=40 + 4 * frame))
    for _ in range(missed):
        stream.step()
    after = stream.step(replace(walker, x=40 + 4 * (10 + missed)))
    assert ids(after) == ids(before)
    assert after["walker"].age == 11


def test_too_long_a_gap_makes_a_new_track() -> None:
    stream = Stream()
    box = Box("a", CAR, 40, 40, 30, 30)
    before = stream.step(box)
    stream.step()
    after = stream.step(box, dt=1.5)
    assert after["a"].track_id == before["a"].track_id + 1


def test_a_flickering_class_keeps_the_track() -> None:
    stream = Stream()
    box = Box("a", CAR, 40, 40, 50, 30)
    track_ids = set()
    for frame in range(20):
        category = TRUCK if frame % 3 == 2 else CAR
        track_ids.add(stream.step(replace(box, category=category))["a"].track_id)
    assert track_ids == {1}


def test_a_rider_is_not_his_bicycle() -> None:
    stream = Stream()
    rider = Box("rider", RIDER, 60, 20, 20, 40, 8.0)
    bicycle = Box("bicycle", BICYCLE, 50, 50, 40, 30, 8.1)
    first = ids(stream.step(rider, bicycle))
    stream.step(rider)
    assert ids(stream.step(bicycle)) == {"bicycle": first["bicycle"]}
    assert ids(stream.step(rider, bicycle)) == first


def test_one_leaves_and_another_enters() -> None:
    stream = Stream()
    for frame in range(12):
        seen = stream.step(Box("out", CAR, 230 + 9 * frame, 40, 60, 30))
        if "out" in seen:
            assert seen["out"].track_id == 1
    assert "out" not in seen
    for frame in range(8):
        seen = stream.step(Box("in", CAR, 310 - 9 * frame, 40, 60, 30))
        assert seen["in"].track_id == 2


def test_another_thing_in_the_same_place_but_far_behind() -> None:
    stream = Stream()
    box = Box("a", CAR, 60, 40, 40, 30, 6.0)
    assert stream.step(box)["a"].track_id == 1
    assert stream.step(replace(box, depth=30.0))["a"].track_id == 2


def test_the_near_end_of_a_long_car_comes_into_view() -> None:
    stream = Stream()
    box = Box("a", CAR, 60, 40, 90, 60, 4.5)
    assert stream.step(box)["a"].track_id == 1
    assert stream.step(replace(box, x=50, depth=2.6))["a"].track_id == 1


def test_fast_small_things_that_overlap_with_nothing() -> None:
    stream = Stream()
    for frame in range(15):
        seen = stream.step(Box("a", PERSON, 20 + 12 * frame, 50, 9, 20, 10.0))
        assert seen["a"].track_id == 1


def approach(
    speed: float, *, start: float = 30.0, frames: int = 30, noise: float = 0.0, seed: int = 0
) -> list[tuple[float, TrackState]]:
    """Return true depth and state of a car that comes nearer at a speed."""
    rng = np.random.default_rng(seed)
    stream, seen = Stream(), []
    for frame in range(frames):
        depth = start - speed * frame / RATE
        size = 200 / depth
        measured = depth * math.exp(rng.normal(0, noise))
        box = Box("car", CAR, 160 - size, 60 - size / 2, 2 * size, size, measured)
        seen.append((depth, stream.step(box)["car"]))
    assert {state.track_id for _, state in seen} == {1}
    return seen


@pytest.mark.parametrize("speed", [5.0, -5.0, 0.0, 8.0])
def test_closing_speed(speed: float) -> None:
    depth, last = approach(speed)[-1]
    assert last.closing_speed == pytest.approx(speed, abs=0.1)
    if speed > 0:
        assert last.time_to_contact == pytest.approx(depth / speed, rel=0.03)
    if speed < 0:
        assert last.time_to_contact == math.inf


def test_a_parked_car_is_seconds_away_or_never_comes() -> None:
    _, last = approach(0.0)[-1]
    assert last.time_to_contact > 100


def test_closing_speed_from_noisy_depth() -> None:
    last = [approach(5.0, noise=0.04, seed=seed)[-1] for seed in range(8)]
    errors = np.array([state.closing_speed - 5.0 for _, state in last])
    assert np.sqrt(np.mean(errors**2)) < 1.2
    assert abs(errors.mean()) < 0.6
    times = [state.time_to_contact * 5.0 / depth for depth, state in last]
    assert np.median(times) == pytest.approx(1.0, abs=0.2)


def test_speed_is_unknown_at_first() -> None:
    states = [state for _, state in approach(5.0)]
    assert math.isnan(states[0].closing_speed)
    assert math.isnan(states[0].time_to_contact)
    known = [not math.isnan(state.closing_speed) for state in states]
    assert known == sorted(known)
    assert known.index(True) <= 15


def test_speed_is_unknown_without_depth() -> None:
    stream = Stream()
    for _ in range(20):
        seen = stream.step(Box("a", CAR, 40, 40, 30, 30, math.nan))
    assert seen["a"].age == 20
    assert math.isnan(seen["a"].closing_speed)
    assert math.isnan(seen["a"].time_to_contact)


@pytest.mark.parametrize("depth", [0.0, -1.0, -2.0, -3.0])
def test_depth_that_nothing_can_have_is_unknown(depth: float) -> None:
    # A network that regresses depth itself may undershoot zero.
    stream = Stream()
    for metres in (4.0, 4.0, depth, 4.0):
        seen = stream.step(Box("a", CAR, 40, 40, 30, 30, metres))
    assert (seen["a"].track_id, seen["a"].age) == (1, 4)


def test_one_wild_depth_does_not_turn_the_speed() -> None:
    stream = Stream()
    for frame in range(30):
        depth = (20 - 0.5 * frame) * (1.4 if frame == 28 else 1.0)
        state = stream.step(Box("a", CAR, 100, 40, 60, 40, depth))["a"]
    assert state.track_id == 1
    assert state.closing_speed == pytest.approx(5.0, abs=1.5)


def test_time_going_backwards_forgets_all() -> None:
    stream = Stream()
    box = Box("a", CAR, 40, 40, 30, 30)
    for _ in range(20):
        last = stream.step(box)["a"]
    assert not math.isnan(last.closing_speed)
    again = stream.step(box, dt=-5.0)["a"]
    assert again.track_id == 2
    assert again.age == 1
    assert math.isnan(again.closing_speed)


def test_the_same_stamp_twice() -> None:
    stream = Stream()
    box = Box("a", CAR, 40, 40, 30, 30)
    stream.step(box)
    assert stream.step(replace(box, x=41), dt=0.0)["a"].track_id == 1
    assert stream.step(replace(box, x=42))["a"].track_id == 1


def test_another_image_size_forgets_all() -> None:
    tracker = Tracker()
    boxes = [Box("a", CAR, 40, 40, 30, 30)]
    small, large = see(boxes)[:2], see(boxes, (240, 640))[:2]
    assert [s.track_id for s in tracker.update(*small, 0.0).values()] == [1]
    assert [s.track_id for s in tracker.update(*large, 0.1).values()] == [2]


def test_large_images_are_subsampled() -> None:
    tracker = Tracker()
    size = (1024, 2048)
    for frame in range(5):
        boxes = [Box("a", CAR, 40 + 7 * frame, 40, 30, 30), Box("b", PERSON, 900, 500, 3, 5)]
        segments, id_map, names = see(boxes, size)
        states = tracker.update(segments, id_map, frame / RATE)
        found = {name: states[segment_id].track_id for name, segment_id in names.items()}
        if frame == 0:
            first = found
        assert found == first


@pytest.mark.parametrize(
    "bad",
    [{"max_gap": 0.0}, {"depth_gate": 1.0}, {"min_affinity": 1.0}, {"depth_noise": -1.0}],
)
def test_bad_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(bad))}: got .*, expected"):
        TrackerConfig(**bad)


BOXES = st.lists(
    st.builds(
        Box,
        name=st.just(""),
        category=st.sampled_from([PERSON, CAR, TRUCK]),
        x=st.integers(-10, 300),
        y=st.integers(-10, 100),
        width=st.integers(1, 80),
        height=st.integers(1, 60),
        depth=st.floats(1, 60),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(st.lists(BOXES, min_size=1, max_size=6))
def test_any_stream_has_distinct_ids_and_growing_ages(frames: list[list[Box]]) -> None:
    stream = Stream()
    ages: dict[int, int] = {}
    for boxes in frames:
        named = [replace(box, name=str(number)) for number, box in enumerate(boxes)]
        for state in stream.step(*named).values():
            assert state.age == ages.get(state.track_id, 0) + 1
            ages[state.track_id] = state.age
            assert math.isnan(state.time_to_contact) or state.time_to_contact >= 0


@settings(max_examples=20, deadline=None)
@given(BOXES)
def test_a_still_picture_keeps_every_id(boxes: list[Box]) -> None:
    stream = Stream()
    named = [replace(box, name=str(number)) for number, box in enumerate(boxes)]
    first = ids(stream.step(*named))
    for _ in range(3):
        assert ids(stream.step(*named)) == first
