# SPDX-License-Identifier: Apache-2.0
"""Frames by number: the same seed, split and index give the same picture."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from training.streets import lighting, mounting, sensor
from training.streets.appearance import POOLS, Split, generator
from training.streets.classes import LABEL_DIVISOR, SemanticClass
from training.streets.frame import StreetFrame, panoptic_from, still_name
from training.streets.lighting import Conditions
from training.streets.mounting import ANYWHERE, Placement, Rig
from training.streets.renderer import Renderer
from training.streets.roads import RoadKind
from training.streets.scene import Lighting
from training.streets.town import Town, build_town

FRAMES_PER_TOWN = 10
_ATTEMPTS = 4
_RIGS = 200


def _blocked(frame: StreetFrame) -> bool:
    """Return whether there is too little of a street to see: a wall, a trunk, bare sky."""
    seen = frame.depth[frame.depth > 0]
    if seen.size < frame.depth.size * 0.15 or np.mean(seen < 2.2) > 0.3:
        return True
    share = np.bincount(frame.semantic.ravel(), minlength=256) / frame.semantic.size
    ground = share[[SemanticClass.ROAD, SemanticClass.SIDEWALK, SemanticClass.TERRAIN]].sum()
    backdrop = [SemanticClass.BUILDING, SemanticClass.WALL, SemanticClass.SKY]
    return bool(ground < 0.08 or share[backdrop].sum() > 0.75)


@dataclass(frozen=True)
class _Shot:
    rig: Rig
    weather: Conditions
    light: Lighting
    camera: sensor.Sensor
    hidden: frozenset[int]


class StreetGenerator:
    """An endless set of street frames.

    Frame ``i`` shows town ``i // 10``. Neighbouring indices share a town, so draw them together:
    building a town takes longer than rendering a frame.

    Args:
        split: "train" or "val"; their towns and designs are disjoint.
        seed: Different seeds give different towns.
        width: Image width, pixels.
        height: Image height, pixels.
        placement: Where cameras are mounted, if not everywhere.
        main_street: The kind of the towns' main streets, if not all kinds.

    Raises:
        RendererError: If no OpenGL context can be made.
    """

    def __init__(
        self,
        split: Split,
        *,
        seed: int = 0,
        width: int = 640,
        height: int = 320,
        placement: Placement = ANYWHERE,
        main_street: RoadKind | None = None,
    ) -> None:
        self._pool, self._seed, self._placement = POOLS[split], seed, placement
        self._main_street = main_street
        self._renderer = Renderer(width, height)
        self._town: tuple[int, Town] | None = None

    def _town_number(self, number: int) -> Town:
        if self._town is None or self._town[0] != number:
            self._town = (number, build_town(self._pool, self._seed, number, self._main_street))
            self._renderer.load_atlas(self._town[1].atlas)
        return self._town[1]

    def frame(self, index: int) -> StreetFrame:
        """Return still frame ``index``."""
        town = self._town_number(index // FRAMES_PER_TOWN)
        name = still_name(self._pool.split, self._seed, index)
        for attempt in range(_ATTEMPTS):
            rng = generator("frame", self._pool.split, self._seed, index, attempt)
            shot = self._shot(town, rng, times=(0.0,))
            frame = self._expose(town, shot, rng, 0.0, name)
            if not _blocked(frame):
                break
        return frame

    def sequence(self, number: int, length: int, *, rate: float = 10.0) -> Iterator[StreetFrame]:
        """Yield a drive of ``length`` frames at ``rate`` Hz; instances keep their ids."""
        town = self._town_number(number)
        rng = generator("sequence", self._pool.split, self._seed, number)
        times = tuple(float(k / rate) for k in range(length))
        shot = self._shot(town, rng, times=times, moving=True)
        for k, time in enumerate(times):
            grain = generator("grain", self._pool.split, self._seed, number, k)
            name = f"{self._pool.split}drive_{number:06d}_{k:06d}"
            yield self._expose(town, shot, grain, time, name)

    def _shot(
        self,
        town: Town,
        rng: np.random.Generator,
        *,
        times: tuple[float, ...],
        moving: bool = False,
    ) -> _Shot:
        width, height = self._renderer.width, self._renderer.height
        draw = partial(mounting.rig, rng, width, height, town.roads, town.site, self._placement)
        rig = draw()
        # Long drives may find no road that is long enough; they leave the town at its end.
        for _ in range(_RIGS if moving else 0):
            if rig.mount == "car" and abs(rig.speed) >= 3 and rig.stays_on_road(times[-1]):
                break
            rig = draw()
        weather: Conditions = lighting.conditions(rng)
        light = lighting.light(weather, rng, urban=town.urban)
        hidden = town.in_the_way(rig, times)
        return _Shot(rig, weather, light, sensor.sensor(rng), hidden)

    def _expose(
        self, town: Town, shot: _Shot, rng: np.random.Generator, time: float, name: str
    ) -> StreetFrame:
        camera = shot.rig.camera_at(town.site, time)
        scene = town.scene_at(time, shot.hidden)
        shot.rig.show_hood(scene, town.site, time)
        pose = camera.world_from_camera
        drives = shot.rig.mount in ("car", "side")
        lamps = lighting.lit_lamps(
            shot.weather, town.site.lamps, pose[:3, 3], pose[:3, 2], drives=drives
        )
        raw = self._renderer.render(scene, camera, replace(shot.light, lamps=lamps))
        panoptic = panoptic_from(raw.semantic, raw.identity)
        visible = {
            int(value) for value in np.unique(panoptic) if value % LABEL_DIVISOR and value > 0
        }
        velocities = {}
        for index, actor in enumerate(town.actors):
            if index in shot.hidden:
                continue
            for part in actor.parts:
                key = int(part.semantic) * LABEL_DIVISOR + part.identity
                if key in visible:
                    vx, vy, vz = actor.velocity(town.site, time)
                    velocities[key] = (float(vx), float(vy), float(vz))
        return StreetFrame(
            name=name,
            image=sensor.photograph(raw.radiance, shot.camera, rng),
            semantic=raw.semantic,
            panoptic=panoptic,
            depth=raw.depth,
            intrinsics=camera.intrinsics,
            world_from_camera=np.asarray(camera.world_from_camera, np.float64),
            velocities=velocities,
            time=time,
            camera_height=shot.rig.height,
        )
