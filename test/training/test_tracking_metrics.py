# SPDX-License-Identifier: Apache-2.0
"""Identity and speed figures of hand-made sequences, with exact answers."""

import math

import pytest

from training.metrics.tracking import SpeedErrors, TrackingQuality


def test_ideal_tracks():
    quality = TrackingQuality()
    for _ in range(5):
        quality.update({1: 10, 2: 20}, [1, 2], [10, 20])
    quality.end_sequence()
    result = quality.result()
    assert result["id_switches"] == 0
    assert result["idf1"] == result["idp"] == result["idr"] == result["found"] == 1


def test_one_switch_in_the_middle():
    quality = TrackingQuality()
    for track in (10, 10, 10, 11):
        quality.update({1: track}, [1], [track])
    quality.end_sequence()
    result = quality.result()
    assert result["id_switches"] == 1
    assert result["switches_per_1000"] == 250
    # Track 10 gets the identity: three of four frames right.
    assert result["idf1"] == pytest.approx(0.75)


def test_a_swap_counts_twice_and_a_gap_does_not():
    quality = TrackingQuality()
    quality.update({1: 10, 2: 20}, [1, 2], [10, 20])
    quality.update({}, [1, 2], [])
    quality.update({1: 20, 2: 10}, [1, 2], [10, 20])
    quality.end_sequence()
    assert quality.result()["id_switches"] == 2
    assert quality.result()["found"] == pytest.approx(4 / 6)


def test_misses_and_false_alarms():
    quality = TrackingQuality()
    quality.update({1: 10}, [1, 2], [10, 30])
    quality.update({1: 10}, [1, 2], [10, 31, 32])
    quality.end_sequence()
    result = quality.result()
    assert result["idr"] == pytest.approx(2 / 4)
    assert result["idp"] == pytest.approx(2 / 5)
    assert result["idf1"] == pytest.approx(4 / 9)


def test_ids_of_another_sequence_are_others():
    quality = TrackingQuality()
    for track in (10, 77):
        quality.update({1: track}, [1], [track])
        quality.end_sequence()
    assert quality.result()["id_switches"] == 0
    assert quality.result()["idf1"] == 1


def test_nothing_seen():
    assert math.isnan(TrackingQuality().result()["idf1"])
    assert SpeedErrors().result() == {"speed_known": 0.0}


def test_speed_errors():
    errors = SpeedErrors(max_depth=40, max_time=10)
    errors.update(4.0, 5.0, true_speed=5.0, true_depth=20.0)
    errors.update(-1.0, math.inf, true_speed=-2.0, true_depth=10.0)
    errors.update(math.nan, math.nan, true_speed=3.0, true_depth=10.0)
    errors.update(9.0, 9.0, true_speed=0.0, true_depth=60.0)
    result = errors.result()
    assert result["speed_known"] == pytest.approx(2 / 3)
    assert result["speed_mae"] == pytest.approx(1.0)
    assert result["speed_mae_of_zero"] == pytest.approx(3.5)
    # 1 / 5 s instead of 1 / 4 s.
    assert result["contact_rel"] == pytest.approx(0.2)


def test_a_time_of_zero_is_infinitely_wrong():
    errors = SpeedErrors()
    for time in (0.0, 5.0, 5.0):
        errors.update(4.0, time, true_speed=5.0, true_depth=20.0)
    assert errors.result()["contact_rel"] == pytest.approx(0.2)
    errors = SpeedErrors()
    errors.update(4.0, 0.0, true_speed=5.0, true_depth=20.0)
    assert errors.result()["contact_rel"] == math.inf
