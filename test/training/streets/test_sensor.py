# SPDX-License-Identifier: Apache-2.0
"""The sensor keeps order, and each of its flaws shows."""

from dataclasses import replace

import numpy as np
import pytest

from training.streets.sensor import Sensor, photograph

IDEAL = Sensor(0.2, 0.0, (1.0, 1.0, 1.0), 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 100)


def ramp():
    values = np.linspace(0.01, 1.0, 64, dtype=np.float32)
    return np.broadcast_to(values[None, :, None], (32, 64, 3)).copy()


def shoot(radiance, camera=IDEAL, seed=0):
    return photograph(radiance, camera, np.random.default_rng(seed))


def test_brighter_radiance_is_never_darker_in_the_picture():
    picture = shoot(ramp())
    assert picture.dtype == np.uint8
    assert (np.diff(picture[0, :, 1].astype(int)) >= 0).all()


def test_exposure_evens_out_the_brightness_of_the_scene_but_not_all_of_it():
    day, dusk = shoot(ramp()), shoot(ramp() * 0.05)
    assert 0.4 * day.mean() < dusk.mean() < day.mean()


@pytest.mark.parametrize(
    "change",
    [{"read_noise": 0.05}, {"quality": 40}, {"blur": 2.0}, {"motion": 6.0}, {"vignette": 0.8}],
)
def test_every_flaw_changes_the_picture_and_is_reproducible(change):
    scene = ramp()
    scene[:, 20:30] = 0.0
    flawed = replace(IDEAL, **change)
    assert (shoot(scene, flawed) != shoot(scene)).any()
    np.testing.assert_array_equal(shoot(scene, flawed), shoot(scene, flawed))
