# SPDX-License-Identifier: Apache-2.0
"""Rates and warnings, with a clock in the test's hand."""

from __future__ import annotations

import dataclasses

import pytest

from depthlab_ros.health import Health, Meter, Surroundings

AROUND = Surroundings(
    topic="/image_raw",
    camera_info_topic="/camera_info",
    incompatible=(),
    enabled=True,
    busy_stage="",
    busy_s=0.0,
)


class HandClock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def health(clock) -> Health:
    return Health(clock=clock)


def test_meter_tells_the_rate_of_late():
    meter = Meter()
    for i in range(100):
        meter.count(i / 20)
    assert meter.rate(99 / 20) == pytest.approx(20.0)
    assert meter.total == 100
    assert meter.rate(99 / 20 + 4.0) < 6.0
    assert meter.rate(99 / 20 + 10.0) == 0.0


def test_new_node_is_given_time(health, clock):
    assert health.warning(AROUND) == ""
    clock.now += 4.0
    assert health.warning(AROUND) == "no image on /image_raw for 4 s; nobody publishes it"
    health.on_received()
    assert health.warning(AROUND) == ""


def test_silence_counts_from_when_a_publisher_is_there(health, clock):
    clock.now += 100.0
    health.on_publishers(1)
    assert (health.warning(AROUND), health.loss()) == ("", "")
    clock.now += 2.5
    health.on_publishers(2)
    assert (health.warning(AROUND), health.loss()) == ("", "")
    clock.now += 1.5
    silent = health.warning(AROUND)
    assert silent.startswith("no image on /image_raw for 4 s; it has a publisher, so large images")
    assert health.loss() == "no image comes through"

    health.on_publishers(0)
    assert health.warning(AROUND) == "no image on /image_raw for 104 s; nobody publishes it"
    assert health.loss() == ""
    health.on_publishers(1)
    assert (health.warning(AROUND), health.loss()) == ("", "")


def test_silence_counts_from_the_last_image_of_a_publisher_that_stays(health, clock):
    health.on_publishers(1)
    clock.now += 10.0
    health.on_received()
    clock.now += 5.0
    assert health.warning(AROUND).startswith("no image on /image_raw for 5 s; it has a publisher")
    assert health.loss() == ""  # a pause, since one has come


def test_disabled_node_misses_no_images(health, clock):
    clock.now += 100.0
    assert health.warning(dataclasses.replace(AROUND, enabled=False)) == ""


def test_incompatible_publishers_are_named(health):
    around = dataclasses.replace(AROUND, incompatible=("/image_raw from /a: x", "/b is y"))
    assert health.warning(around) == "/image_raw from /a: x; /b is y"


UNSCALED = (
    "depth is not metric: no calibrated camera_info on /camera_info; publish one, or set the "
    "parameter focal_length"
)


def test_depth_that_is_not_metric_is_told_after_all_else(health, clock):
    assert health.values()["focal_length"] == "unknown"
    health.on_received()
    health.on_depth("assumed: no calibration", is_metric=False)
    assert health.warning(AROUND) == ""  # the frame is not out yet
    health.on_published({}, None)
    assert health.warning(AROUND) == UNSCALED
    assert health.values()["focal_length"] == "assumed: no calibration"
    assert health.warning(dataclasses.replace(AROUND, enabled=False)) == ""
    health.on_failed("frame failed")
    assert health.warning(AROUND) == "1 frames failed: frame failed"


def test_depth_of_which_none_came_of_late_is_not_told(health, clock):
    health.on_depth("assumed: no calibration", is_metric=False)
    health.on_published({}, None)
    clock.now += 6.0
    health.on_received()  # nobody subscribes to what would be made of it
    assert health.warning(AROUND) == ""


def test_metric_depth_is_no_reason_to_warn(health):
    health.on_received()
    health.on_depth("50.0 px (camera_info)", is_metric=True)
    health.on_published({}, None)
    assert health.warning(AROUND) == ""
    assert health.values()["focal_length"] == "50.0 px (camera_info)"


def test_failure_is_told_for_a_while(health, clock):
    health.on_received()
    health.on_failed("frame failed: no memory")
    assert health.warning(AROUND) == "1 frames failed: frame failed: no memory"
    for _ in range(10):
        clock.now += 1.0
        health.on_received()
    assert health.warning(AROUND) == ""
    assert health.values()["last_error"] == "frame failed: no memory"


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        ("inference", "the model has been at one frame for 12 s"),
        ("publishing", "publishing has been at one frame for 12 s"),
    ],
)
def test_a_stage_that_hangs_is_told(health, stage, text):
    health.on_received()
    around = dataclasses.replace(AROUND, busy_stage=stage, busy_s=12.0)
    assert health.warning(around) == text


def test_dropped_frames_mean_that_it_cannot_keep_up(health, clock):
    for number in range(1, 41):
        clock.now += 0.1
        health.on_received()
        if number % 4 == 0:
            health.on_published({"network": 1.0}, 5.0)
            health.on_dropped(number * 3 // 4)
    assert health.warning(AROUND) == "cannot keep up: 10.0 images/s in, 2.5 out"
    values = health.values()
    assert (values["frames_received"], values["frames_dropped"]) == ("40", "30")
    assert (values["network_ms"], values["latency_ms"]) == ("1.0", "5.0")


def test_images_lost_on_their_way_are_told_with_what_helps(health, clock):
    for _ in range(40):
        clock.now += 0.1
        health.on_received()
    health.on_lost(2)
    assert health.warning(AROUND) == ""  # one in twenty is let go
    health.on_lost(6)
    warning = health.warning(AROUND)
    assert warning.startswith("8 of 48 images on /image_raw were lost on their way in the last 5")
    assert "qos_overrides.TOPIC.subscription.reliability" in warning
    assert "FASTRTPS_DEFAULT_PROFILES_FILE" in warning
    assert "LARGE_DATA" in warning
    assert "net.core.rmem_max" in warning
    assert health.values()["frames_lost"] == "8"

    clock.now += 6.0
    health.on_received()
    assert health.warning(AROUND) == ""


def test_images_that_are_all_lost_are_not_missing(health, clock):
    clock.now += 4.0
    assert health.warning(AROUND).startswith("no image on /image_raw for 4 s")
    health.on_lost(5)
    assert health.warning(AROUND).startswith("5 of 5 images on /image_raw were lost")


def test_latency_by_another_clock_is_unknown(health):
    health.on_published({}, None)
    assert health.values()["latency_ms"] == "unknown"
