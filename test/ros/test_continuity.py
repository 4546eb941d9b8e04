# SPDX-License-Identifier: Apache-2.0
"""Identity over time and metric scale from the camera's height, over DDS."""

from __future__ import annotations

import array
import dataclasses
import math
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image

from depthlab_core import Prediction
from depthlab_core.ground import GroundFit, fit_ground
from depthlab_ros import mounting_height
from depthlab_ros.continuity import Continuity

HEIGHT, WIDTH, FOCAL = 96, 128, 100.0
RATE = 10.0
GROUND = GroundFit(height=1.0, inlier_ratio=0.9, samples=1000, pitch_deg=2.0, roll_deg=0.5)


class Street:
    """Two cars on a road: one stands 10 m away, one comes from 30 m at 4 m/s.

    Frames are known by their number, which is the image's first pixel. The camera is 1 m over the
    road by the depth that this model gives.
    """

    def __init__(self, stub) -> None:
        self.name, self.device, self.labels = "street", "cpu", stub.labels
        self.postprocess, self.timings = stub.postprocess, {}
        self._car = stub.segments[1]
        self.hidden: set[int] = set()
        self.ground = GROUND
        # Closed, it holds every frame back.
        self.gate = threading.Event()
        self.gate.set()
        self.is_waiting = False

    def distance(self, number: int) -> float:
        return 30.0 - 4.0 * number / RATE

    def predict_batch(self, images, focal_lengths) -> list[Prediction]:
        self.is_waiting = not self.gate.is_set()
        assert self.gate.wait(300.0)
        return [self.predict(*pair) for pair in zip(images, focal_lengths, strict=True)]

    def predict(self, image: np.ndarray, focal_length: float | None = None) -> Prediction:
        number = int(image[0, 0, 0])
        rows = np.arange(HEIGHT)[:, None].repeat(WIDTH, 1)
        depth = np.where(rows > 50, FOCAL / np.maximum(rows - 47.5, 1.0), 60.0).astype(np.float32)
        id_map = np.ones((HEIGHT, WIDTH), np.uint16)
        segments = [dataclasses.replace(self._car, id=1, panoptic_id=0, is_thing=False)]
        near = self.distance(number)
        # Of two things of a class the first in the image is number 1, whichever that is.
        places = [(20, 10.0)] if number in self.hidden else [(20, 10.0), (80 - number // 4, near)]
        for index, (left, metres) in enumerate(places):
            size = round(200 / metres)
            box = (left, 50, size, size)
            id_map[50 : 50 + size, left : left + size] = index + 2
            segments.append(
                dataclasses.replace(
                    self._car,
                    id=index + 2,
                    panoptic_id=13001 + index,
                    bbox=box,
                    area=size * size,
                    centroid=(left + size / 2, 50 + size / 2),
                    **dict.fromkeys(("depth_mean", "depth_median", "depth_p05"), metres),
                    depth_p95=metres + 1.0,
                )
            )
            depth[id_map == index + 2] = metres
        return Prediction(
            panoptic_map=np.where(id_map > 1, 12999 + id_map.astype(np.int32), 0),
            semantic_map=np.where(id_map > 1, 13, 0).astype(np.uint8),
            id_map=id_map,
            depth=depth,
            segments=segments,
            focal_length=FOCAL,
            focal_length_assumed=False,
            timings={},
            ground=self.ground,
        )


@pytest.fixture
def street(stub) -> Iterator[Street]:
    model = Street(stub)
    yield model
    model.gate.set()


def frame(number: int, *, start: float = 100.0) -> Image:
    image = np.full((HEIGHT, WIDTH, 3), number, np.uint8)
    msg = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=WIDTH * 3)
    msg.header.frame_id = "front_optical"
    msg.header.stamp.sec, rest = divmod(round((start + number / RATE) * 1e9), 10**9)
    msg.header.stamp.nanosec = rest
    msg.data = array.array("B", image.tobytes())
    return msg


def play(ros, until, numbers, **options):
    """Publish frames one by one and return the things of each."""
    received = ros.peer.received["segments"]
    answers = []
    for number in numbers:
        count = len(received)
        ros.peer.image_pub.publish(frame(number, **options))
        until(lambda count=count: len(received) > count)
        answers.append([s for s in received[-1].segments if s.is_thing])
    return answers


def test_things_keep_their_track_id(ros, street, until):
    ros.peer.listen("segments")
    ros.node(street)
    answers = play(ros, until, range(12))
    ids = {tuple(thing.track_id for thing in things) for things in answers}
    assert ids == {(1, 2)}
    stuff = [s for s in ros.peer.received["segments"][-1].segments if not s.is_thing]
    assert [s.track_id for s in stuff] == [-1]
    assert math.isnan(stuff[0].closing_speed)
    assert math.isnan(stuff[0].time_to_contact)


def test_a_thing_that_is_missed_for_two_frames_is_found_again(ros, street, until):
    street.hidden = {5, 6}
    ros.peer.listen("segments")
    ros.node(street)
    answers = play(ros, until, range(10))
    assert [[thing.track_id for thing in things] for things in answers] == (
        [[1, 2]] * 5 + [[1]] * 2 + [[1, 2]] * 3
    )


def test_closing_speed_and_time_to_contact(ros, street, until):
    ros.peer.listen("segments")
    ros.node(street)
    answers = play(ros, until, range(30))
    standing, coming = answers[-1]
    assert math.isnan(answers[0][1].closing_speed)
    assert coming.closing_speed == pytest.approx(4.0, abs=0.3)
    assert coming.time_to_contact == pytest.approx(street.distance(29) / 4.0, rel=0.1)
    assert standing.closing_speed == pytest.approx(0.0, abs=0.1)
    assert standing.time_to_contact > 50


def test_time_goes_on_for_a_driver_that_leaves_its_stamps_at_zero(ros, street, until):
    ros.peer.listen("segments")
    ros.node(street)
    unstamped = {"start": 0.0}
    [first] = play(ros, until, [0], **unstamped)
    time.sleep(1.1)  # longer than a track lives without its thing
    [later] = play(ros, until, [0], **unstamped)
    ids = [[thing.track_id for thing in things] for things in (first, later)]
    assert ids == [[1, 2], [3, 4]]
    assert ros.peer.received["segments"][-1].header.stamp == Time()


def test_a_jump_back_in_time_starts_new_tracks(ros, street, until):
    ros.peer.listen("segments")
    ros.node(street)
    play(ros, until, range(3))
    [again] = play(ros, until, [0])
    assert [thing.track_id for thing in again] == [3, 4]
    assert math.isnan(again[0].closing_speed)


def test_a_frame_under_way_over_a_jump_keeps_the_tracks_of_its_time(ros, street, until):
    ros.peer.listen("segments")
    received = ros.peer.received["segments"]
    [camera] = ros.node(street, camera_height=1.5).cameras
    play(ros, until, range(2))
    street.gate.clear()
    ros.peer.image_pub.publish(frame(2))
    until(lambda: street.is_waiting)
    old = camera.continuity
    ros.peer.image_pub.publish(frame(0))
    until(lambda: camera.continuity is not old)
    street.ground = dataclasses.replace(GROUND, height=0.5)
    street.gate.set()
    until(lambda: len(received) == 4)
    ids = [[s.track_id for s in msg.segments if s.is_thing] for msg in received]
    assert ids == [[1, 2], [1, 2], [1, 2], [3, 4]]
    # The ground of the frame that was under way is smoothed with those of its own time; the one
    # after the jump has its scale from its own ground alone.
    depths = [next(s.depth for s in msg.segments if s.is_thing) for msg in received]
    assert depths == pytest.approx([15.0, 15.0, 15.0 * 2**0.2, 30.0])


@pytest.mark.parametrize("change", ["frame_id", "size"])
def test_another_view_starts_tracks_and_scale_afresh(street, change):
    continuity, seen = Continuity(), street.predict(np.zeros((1, 1, 3), np.uint8))
    lower = dataclasses.replace(seen, ground=dataclasses.replace(GROUND, height=0.5))
    frame_id = "front"

    def follow(prediction, stamp):
        scaled, tracks = continuity.follow(
            prediction, stamp, frame_id, tracking=True, camera_height=1.0
        )
        return scaled.segments[1].depth_median, [track.track_id for track in tracks.values()]

    assert follow(seen, 0.0) == (pytest.approx(10.0), [1, 2])
    assert follow(seen, 0.1) == (pytest.approx(10.0), [1, 2])
    if change == "frame_id":
        frame_id = "rear"
    else:
        lower = dataclasses.replace(lower, id_map=lower.id_map[:-1], depth=lower.depth[:-1])
    # Had the scale been smoothed, depth would be 10 times the fifth root of 2.
    assert follow(lower, 0.2) == (pytest.approx(20.0), [3, 4])
    assert follow(lower, 0.3) == (pytest.approx(20.0), [3, 4])


def test_without_tracking_things_have_no_track(ros, street, until):
    ros.peer.listen("segments")
    ros.node(street, tracking=False)
    [*_, last] = play(ros, until, range(3))
    assert [thing.track_id for thing in last] == [-1, -1]
    assert all(math.isnan(thing.closing_speed) for thing in last)


def test_tracks_survive_a_filter_of_classes(ros, street, until, parameter_overrides):
    ros.peer.listen("segments")
    node = ros.node(street)
    play(ros, until, range(2))
    [result] = node.set_parameters(parameter_overrides(classes="car"))
    assert result.successful
    [things] = play(ros, until, [2])
    assert [(thing.id, thing.track_id) for thing in things] == [(2, 1), (3, 2)]


def test_camera_height_scales_every_depth(ros, street, until):
    ros.peer.listen("segments", "depth/image", "points", "markers")
    ros.node(street, camera_height=1.5, focal_length=FOCAL, points_stride=1)
    [(standing, _)] = play(ros, until, [0])
    assert standing.depth == pytest.approx(15.0)
    assert standing.depth_p95 == pytest.approx(16.5)
    assert standing.position.z == pytest.approx(15.0)
    for name in ("depth/image", "points", "markers"):
        until(lambda name=name: ros.peer.received[name])
    [msg] = ros.peer.received["depth/image"]
    depth = np.frombuffer(msg.data, np.float32).reshape(HEIGHT, WIDTH)
    expected = street.predict(np.zeros((1, 1, 3), np.uint8)).depth * np.float32(1.5)
    np.testing.assert_allclose(depth, expected, rtol=1e-6)
    [cloud] = ros.peer.received["points"]
    points = np.frombuffer(cloud.data, np.float32).reshape(HEIGHT, WIDTH, -1)
    np.testing.assert_allclose(points[..., 2], expected, rtol=1e-6)
    [markers] = ros.peer.received["markers"]
    texts = [marker.text for marker in markers.markers if marker.text]
    assert texts == ["car 15.0 m #1", "car 45.0 m #2"]


def told(ros, key: str, value: str) -> bool:
    return any(d.get(key) == value for d in ros.peer.diagnostics)


def test_diagnostics_tell_height_pitch_scale_and_fit(ros, street, until):
    ros.peer.listen("segments")
    ros.node(street, camera_height=1.5)
    play(ros, until, [0])
    until(lambda: told(ros, "depth_scale", "1.500"))
    last = ros.peer.diagnostics[-1]
    assert last["depth_scale_state"] == "scaled to a camera height of 1.50 m"
    assert (last["ground_height_m"], last["ground_pitch_deg"]) == ("1.00", "2.0")
    assert (last["ground_roll_deg"], last["ground_inlier_ratio"]) == ("0.5", "0.90")


def test_a_poor_fit_leaves_depth_alone_and_says_so(ros, street, until):
    street.ground = dataclasses.replace(GROUND, inlier_ratio=0.3)
    ros.peer.listen("segments")
    ros.node(street, camera_height=1.5)
    [(standing, _)] = play(ros, until, [0])
    assert standing.depth == pytest.approx(10.0)
    state = "as the network gives it: no plane fits the ground well enough yet"
    until(lambda: told(ros, "depth_scale_state", state))


def test_the_stubs_ground_is_where_it_says(street):
    """The plane that the tests above take for granted is the one that the core finds."""
    seen = street.predict(np.zeros((1, 1, 3), np.uint8))
    fit = fit_ground(seen.depth, seen.semantic_map, street.labels, fx=FOCAL)
    assert fit.height == pytest.approx(1.0, rel=0.02)


def test_a_fit_that_becomes_poor_is_told_and_the_scale_stays(street):
    continuity, seen = Continuity(), street.predict(np.zeros((1, 1, 3), np.uint8))
    poor = dataclasses.replace(seen, ground=dataclasses.replace(GROUND, inlier_ratio=0.3))
    states = []
    for prediction in (seen, poor, seen):
        continuity.follow(prediction, 0.0, "front", tracking=False, camera_height=1.5)
        values = continuity.values()
        assert values["depth_scale"] == "1.500"
        states.append(values["depth_scale_state"])
    good = "scaled to a camera height of 1.50 m"
    assert states == [good, "scaled as before: no plane fits the ground well enough now", good]


class KnownHeights:
    """Stands in for TF where ``tf2_ros`` is not installed."""

    def __init__(self, node, ground_frame: str) -> None:
        self.ground_frame = ground_frame

    def of(self, camera_frame: str) -> float | None:
        return {("base_footprint", "front_optical"): 2.0}.get((self.ground_frame, camera_frame))

    def close(self) -> None:
        pass


def test_the_height_comes_from_the_ground_frame(ros, street, until, monkeypatch):
    monkeypatch.setattr("depthlab_ros.node.MountingHeight", KnownHeights)
    monkeypatch.setattr(mounting_height, "HAS_TF", True)
    ros.peer.listen("segments")
    ros.node(street, ground_frame="base_footprint")
    [(standing, _)] = play(ros, until, [0])
    assert standing.depth == pytest.approx(20.0)


def test_the_parameter_wins_over_the_ground_frame(ros, street, until, monkeypatch):
    monkeypatch.setattr("depthlab_ros.node.MountingHeight", KnownHeights)
    monkeypatch.setattr(mounting_height, "HAS_TF", True)
    ros.peer.listen("segments")
    ros.node(street, ground_frame="base_footprint", camera_height=1.2)
    [(standing, _)] = play(ros, until, [0])
    assert standing.depth == pytest.approx(12.0)


@pytest.mark.skipif(not mounting_height.HAS_TF, reason="tf2_ros is not installed")
def test_the_height_comes_from_tf(ros, street, until):
    from geometry_msgs.msg import TransformStamped
    from tf2_ros import StaticTransformBroadcaster

    ros.peer.listen("segments")
    node = ros.node(street, ground_frame="base_footprint")
    transform = TransformStamped(child_frame_id="front_optical")
    transform.header.frame_id = "base_footprint"
    transform.transform.translation.z = 2.0
    transform.transform.rotation.w = 1.0
    StaticTransformBroadcaster(ros.peer).sendTransform(transform)
    until(lambda: node._heights.of("front_optical") == 2.0)
    [(standing, _)] = play(ros, until, [0])
    assert standing.depth == pytest.approx(20.0)


@pytest.mark.skipif(mounting_height.HAS_TF, reason="tf2_ros is installed")
def test_without_tf_the_node_says_what_to_do(ros, street, until, capfd):
    ros.peer.listen("segments")
    ros.node(street, ground_frame="base_footprint")
    [(standing, _)] = play(ros, until, [0])
    assert standing.depth == pytest.approx(10.0)
    assert "set camera_height instead" in capfd.readouterr().err


def test_scale_is_smoothed_and_a_new_mounting_starts_afresh(street):
    continuity, seen = Continuity(), street.predict(np.zeros((1, 1, 3), np.uint8))
    lower = dataclasses.replace(seen, ground=dataclasses.replace(GROUND, height=0.5))

    def depth_of(prediction, camera_height):
        scaled, _ = continuity.follow(
            prediction, 0.0, "front", tracking=False, camera_height=camera_height
        )
        return scaled.segments[1].depth_median

    assert depth_of(seen, 1.0) == pytest.approx(10.0)
    # 0.8 of the past and 0.2 of the present, in the logarithm: the fifth root of 2.
    assert depth_of(lower, 1.0) == pytest.approx(10.0 * 2**0.2)
    assert depth_of(lower, 1.05) == pytest.approx(10.0 * 2 ** (0.2 * 0.8) * 2.1**0.2)
    assert depth_of(lower, 1.5) == pytest.approx(30.0)
    continuity = continuity.successor()
    assert continuity.values() == {}
    assert depth_of(seen, 1.5) == pytest.approx(15.0)
