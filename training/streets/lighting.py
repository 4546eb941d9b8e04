# SPDX-License-Identifier: Apache-2.0
"""Weather and time of day: the sky, the sun, the light that is left, and the air."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from training.streets.mesh import FloatArray
from training.streets.noise import noise
from training.streets.scene import Lamp, Lighting

Weather = Literal["clear", "broken", "overcast", "fog", "dusk", "night"]
_SHARES: dict[Weather, float] = {
    "clear": 0.36, "broken": 0.26, "overcast": 0.2, "fog": 0.04, "dusk": 0.1, "night": 0.04,
}  # fmt: skip
_SKY_SIZE = 384


@dataclass(frozen=True)
class Conditions:
    """A sky and what falls from it.

    Attributes:
        weather: What kind.
        sun_azimuth: Radians counter-clockwise from east.
        sun_elevation: Radians over the horizon.
        wetness: 0 dry to 1 soaked.
        visibility: Distance at which contrast has fallen to 5 %, metres.
    """

    weather: Weather
    sun_azimuth: float
    sun_elevation: float
    wetness: float
    visibility: float


def conditions(rng: np.random.Generator) -> Conditions:
    """Draw the weather."""
    weather: Weather = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))  # type: ignore[assignment]
    elevation = rng.uniform(12, 70) if weather not in ("dusk", "night") else rng.uniform(1, 8)
    wet_chance = {"clear": 0.03, "broken": 0.1, "overcast": 0.3}.get(weather, 0.25)
    visibility = {"fog": rng.uniform(50, 250), "clear": rng.uniform(1500, 8000)}.get(
        weather, float(np.exp(rng.uniform(np.log(900), np.log(9000))))
    )
    return Conditions(
        weather,
        rng.uniform(0, 2 * np.pi),
        float(np.radians(elevation)),
        rng.uniform(0.4, 1.0) if rng.random() < wet_chance else 0.0,
        visibility,
    )


def light(
    state: Conditions,
    rng: np.random.Generator,
    *,
    urban: bool = False,
) -> Lighting:
    """Return sky and lights of some weather.

    Args:
        state: The weather.
        rng: Source of its shades.
        urban: Whether buildings hide much of the sky.
    """
    azimuth, elevation = state.sun_azimuth, state.sun_elevation
    direction = np.array(
        [
            np.cos(azimuth) * np.cos(elevation),
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
    )
    warm = np.clip(1.2 - elevation / 0.7, 0, 1)
    sun = np.array([1.0, 0.96 - 0.2 * warm, 0.9 - 0.42 * warm])
    strength, level, cloud = {
        "clear": (rng.uniform(2.2, 4.2), rng.uniform(0.65, 0.95), rng.uniform(0.0, 0.3)),
        "broken": (rng.uniform(0.5, 2.6), rng.uniform(0.7, 1.1), rng.uniform(0.4, 0.75)),
        "overcast": (rng.uniform(0.0, 0.2), rng.uniform(0.7, 1.1), rng.uniform(0.9, 1.0)),
        "fog": (0.0, rng.uniform(0.7, 1.0), 1.0),
        "dusk": (rng.uniform(0.0, 0.5), rng.uniform(0.2, 0.4), rng.uniform(0.1, 0.9)),
        "night": (0.0, rng.uniform(0.015, 0.05), rng.uniform(0.2, 0.9)),
    }[state.weather]
    sky = _sky(state, rng, level, cloud, sun * strength, direction)
    # Cosine-weighted mean over the half sphere, the horizon counting a little more.
    up = _rays()[..., 2]
    weight = (np.where(up > 0, up + 0.15, 0) / (1 + up) ** 2)[..., None]
    ambient = (sky * weight).sum((0, 1)) / weight.sum()
    ground_tone = np.array([0.3, 0.28, 0.25])
    bounce = ground_tone * (ambient + sun * strength * max(np.sin(elevation), 0) * 0.6)
    horizon = sky[(up > 0.01) & (up < 0.12)].mean(0)
    dark = state.weather in ("dusk", "night")
    return Lighting(
        sky=sky,
        sun_direction=direction,
        sun_color=sun * strength,
        ambient_up=ambient * (rng.uniform(0.45, 0.85) if urban else rng.uniform(0.7, 1.05)),
        ambient_down=bounce + ambient * 0.12,
        fog_color=horizon,
        fog_density=3.0 / state.visibility,
        wetness=state.wetness,
        window_glow=rng.uniform(0.5, 1.6) if dark else rng.uniform(0.0, 0.15),
        lamp_glow=rng.uniform(2.0, 4.0) if dark else 1.1,
    )


def lit_lamps(
    state: Conditions,
    lamps: list[FloatArray],
    eye: FloatArray,
    forward: FloatArray,
    *,
    drives: bool,
) -> tuple[Lamp, ...]:
    """Return the lamps that light the view: the nearest street lamps, and the own head lamps.

    Args:
        state: The weather; by day no lamp is lit.
        lamps: World positions ``(3,)`` of all street lamps.
        eye: World position of the camera.
        forward: Direction of view.
        drives: Whether the camera is on a vehicle.
    """
    if state.weather not in ("dusk", "night"):
        return ()
    strength = 1.0 if state.weather == "night" else 0.35
    lit = []
    if drives:
        front = eye + forward * 2.0 - [0, 0, 0.5]
        lit.append(Lamp(_triple(front), (1.1 * strength, 1.05 * strength, 0.95 * strength), 38.0))
    focus = eye + forward * 14.0
    nearest = sorted(lamps, key=lambda lamp: float(np.linalg.norm(lamp[:2] - focus[:2])))[:7]
    color = (1.0 * strength, 0.74 * strength, 0.42 * strength)
    return (*lit, *(Lamp(_triple(lamp), color, 19.0) for lamp in nearest))


def _triple(point: FloatArray) -> tuple[float, float, float]:
    return float(point[0]), float(point[1]), float(point[2])


def _sky(
    state: Conditions,
    rng: np.random.Generator,
    level: float,
    cloud: float,
    sun: FloatArray,
    direction: FloatArray,
) -> npt.NDArray[np.float32]:
    rays = _rays()
    up = np.maximum(rays[..., 2], 0.0)
    zenith = np.array([0.22, 0.42, 0.88]) * rng.uniform(0.75, 1.15)
    horizon = np.array([0.86, 0.95, 1.05]) * rng.uniform(0.85, 1.25)
    if state.weather in ("dusk", "night"):
        warm, cool = np.array([1.2, 0.8, 0.55]), np.array([0.72, 0.8, 0.95])
        share = rng.random()
        horizon = (warm * share + cool * (1 - share)) * rng.uniform(0.6, 1.2)
        zenith = np.array([0.3, 0.36, 0.6])
    blend = (up ** rng.uniform(0.35, 0.7))[..., None]
    clear = horizon * (1 - blend) + zenith * blend
    toward_sun = np.clip(rays @ direction, 0, 1)
    halo = 0.35 * toward_sun**6 + 0.7 * toward_sun**60
    clear = clear + halo[..., None] * np.clip(sun, 0, 4) * 0.5
    # Clouds on a flat layer: they shrink towards the horizon.
    field = noise(rng, 512, exponent=rng.uniform(2.4, 3.1))
    reach = rng.uniform(18, 50) / (up + 0.14)
    map_x = ((rays[..., 0] * reach) % 512).astype(np.float32)
    map_y = ((rays[..., 1] * reach) % 512).astype(np.float32)
    puff = np.asarray(cv2.remap(field, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP))
    threshold = 1.0 - cloud
    cover = np.clip((puff - threshold + 0.12) / rng.uniform(0.15, 0.5), 0, 1)
    if cloud > 0.88:
        cover = np.clip(cover + 0.75, 0, 1)
    shade = rng.uniform(0.75, 1.2) * (1 - rng.uniform(0.1, 0.6) * puff)
    tone = np.array([1.0, 1.0, 1.02])
    if state.weather == "dusk":
        tone = np.array([rng.uniform(0.75, 0.95), 0.78, rng.uniform(0.72, 0.9)])
    clouds = shade[..., None] * tone + halo[..., None] * 0.6
    sky = clear * (1 - cover[..., None]) + clouds * cover[..., None]
    return np.asarray(sky * level, np.float32)


@cache
def _rays() -> FloatArray:
    """Return the direction of each texel ``(S, S, 3)``: the upper half sphere, stereographic."""
    axis = (np.arange(_SKY_SIZE) + 0.5) / _SKY_SIZE * 2 - 1
    x, y = np.meshgrid(axis, axis)
    square = x * x + y * y
    rays = np.stack([2 * x, 2 * y, 1 - square], -1) / (1 + square)[..., None]
    # Beyond the circle of the horizon lie directions below it: show the horizon there.
    return rays
