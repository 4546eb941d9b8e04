# SPDX-License-Identifier: Apache-2.0
"""Where cameras are mounted: on cars, vans, walkers and masts."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.streets.camera import Camera, focal_length_of, mounted
from training.streets.mesh import Color, FloatArray, Mesh
from training.streets.own_vehicle import own_vehicle
from training.streets.roads import Road
from training.streets.scene import EGO_IDENTITY, Scene
from training.streets.site import Site

Mount = Literal["car", "side", "walker", "mast"]
MOUNTS: dict[Mount, float] = {"car": 0.58, "side": 0.24, "walker": 0.09, "mast": 0.09}
"""How often cameras are mounted so."""

# How often the vehicle that carries the camera shows in the picture.
_HOOD_SHARE: dict[Mount, float] = {"car": 0.3, "side": 0.5}

# Half the length and half the width of what carries the camera and nobody may enter, metres.
CLEARANCE: dict[Mount, tuple[float, float]] = {
    "car": (2.8, 1.1),
    "side": (2.8, 1.1),
    "walker": (0.8, 0.8),
    "mast": (0.5, 0.5),
}


@dataclass(frozen=True)
class Placement:
    """What is known of a camera before it is drawn.

    Attributes:
        mount: What carries it; None: drawn by the shares of ``MOUNTS``.
        height: Smallest and largest height over the ground, metres; None: the mount's usual ones.
    """

    mount: Mount | None = None
    height: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.height is not None and not 0 < self.height[0] <= self.height[1]:
            raise ValueError(f"camera height: got {self.height}, expected 0 < lowest <= highest")


ANYWHERE = Placement()


@dataclass(frozen=True)
class Rig:
    """A camera on something that may drive along a road.

    Attributes:
        camera: Intrinsics; its pose is that at time 0.
        mount: What carries it.
        road: Along which.
        s: Place at time 0.
        d: Metres left of the centre line.
        speed: m/s along s.
        yaw: Against the direction of the road, radians.
        height: Over the ground, metres.
        pitch: Positive looks down, radians.
        roll: Radians.
        hood: Mesh of what is in view of the own vehicle, if anything is, and its colour.
    """

    camera: Camera
    mount: Mount
    road: Road
    s: float
    d: float
    speed: float
    yaw: float
    height: float
    pitch: float
    roll: float
    hood: tuple[Mesh, Color] | None

    def pose_at(self, site: Site, time: float) -> FloatArray:
        """Return the camera's pose at a time."""
        s = self.s + self.speed * time
        bounce = 0.004 * np.sin(9.0 * time) * (abs(self.speed) > 0.5)
        return self._mounted(site, s, self.pitch + bounce, self.roll)

    def _mounted(self, site: Site, s: float, pitch: float = 0.0, roll: float = 0.0) -> FloatArray:
        """Return the pose of a camera with these angles to what carries it."""
        point = site.world(self.road, s, self.d)
        heading = float(self.road.line.heading(s)) + self.yaw
        ahead = site.world(self.road, s + np.cos(self.yaw) * 2.0, self.d)
        slope = np.arctan2(ahead[2] - point[2], 2.0) if abs(np.cos(self.yaw)) > 0.5 else 0.0
        pitch -= slope * np.sign(np.cos(self.yaw))
        return mounted(point, heading, self.height, pitch=float(pitch), roll=roll)

    def stays_on_road(self, time: float) -> bool:
        """Return whether it has not reached the end of the road by then."""
        return 0.0 <= self.s + self.speed * time <= self.road.line.length

    def camera_at(self, site: Site, time: float) -> Camera:
        """Return the camera at a time."""
        return self.camera.moved(self.pose_at(site, time))

    def show_hood(self, scene: Scene, site: Site, time: float) -> None:
        """Add the hood to a scene, if there is one."""
        if self.hood is None:
            return
        mesh, color = self.hood
        right, down, ahead, position = self._mounted(site, self.s + self.speed * time).T
        world_from_vehicle = np.stack([ahead, -right, -down, position], 1)
        scene.add("ego/hood", mesh, world_from_vehicle, (color,), EGO_IDENTITY)
        scene.casts_no_shadow.add("ego/hood")


def rig(
    rng: np.random.Generator,
    width: int,
    height: int,
    roads: tuple[Road, ...],
    site: Site,
    placement: Placement = ANYWHERE,
) -> Rig:
    """Draw a camera and its place."""
    # Drawn even if it is given: what follows then sees the same town from another camera.
    mount: Mount = str(rng.choice(list(MOUNTS), p=list(MOUNTS.values())))  # type: ignore[assignment]
    mount = placement.mount or mount
    road = (
        roads[0]
        if len(roads) == 1 or rng.random() < 0.75
        else roads[int(rng.integers(1, len(roads)))]
    )
    main = road is roads[0]
    s = rng.uniform(20, road.line.length - 60) if main else rng.uniform(25, 70)
    # Cameras to the sides are wide, since few have to see all around.
    usual = 80 if mount == "side" else 66
    field = float(np.clip(rng.normal(usual, 17), 40, 110))
    if rng.random() < 0.15:
        field = rng.uniform(40, 110)
    focal = focal_length_of(width, field)
    vertical = np.arctan2(height / 2, focal)
    direction = int(rng.choice([-1, 1]))
    yaw, roll, speed = 0.0 if direction > 0 else np.pi, rng.normal(0, 0.006), 0.0
    if mount == "car" or mount == "side":
        lane = int(rng.integers(road.lanes))
        d = road.lane_offset(lane, direction) + rng.normal(0, 0.25)
        # Behind windscreens at 1.1 to 1.4 m, on roofs at 1.5 to 2, on vans and lorries above.
        lift = rng.uniform(1.0, 1.7) if rng.random() < 0.8 else rng.uniform(1.7, 3.0)
        # Most mounts put the horizon a little above or below the middle.
        pitch = rng.normal(0.02, 0.05)
        yaw += rng.normal(0, 0.05)
        if mount == "side":
            yaw += rng.uniform(0.5, 2.2) * float(rng.choice([-1, 1]))
            # They roll where the road climbs, and look down a little on what is beside.
            roll, pitch = rng.normal(0, 0.025), pitch + 0.02
        speed = direction * rng.uniform(0, 13.0)
    else:
        side = int(rng.choice([-1, 1]))
        walk = road.band(side, "sidewalk") or road.side(side)[0]
        d = side * rng.uniform(walk.inner + 0.3, min(walk.outer, walk.inner + 3) - 0.1)
        yaw += rng.normal(0, 0.5) if rng.random() < 0.75 else rng.uniform(-np.pi, np.pi)
        roll = rng.normal(0, 0.02)
        if mount == "mast":
            lift, pitch = rng.uniform(3.0, 6.5), rng.uniform(0.1, 0.62)
            across = -side * np.pi / 2
            yaw = across + rng.uniform(-1.3, 1.3)
        else:
            lift, pitch = rng.uniform(1.3, 1.8), rng.normal(0.03, 0.08)
    if placement.height is not None:
        lift = rng.uniform(*placement.height)
    pitch = float(
        np.clip(pitch, -vertical * 0.45, vertical * 0.6 + (0.5 if mount == "mast" else 0))
    )
    cx = (width - 1) / 2 + rng.normal(0, 0.008) * width
    cy = (height - 1) / 2 + rng.normal(0, 0.015) * height
    camera = Camera(width, height, focal, (float(cx), float(cy)), np.eye(4))
    hood = None
    if lift < 2.0 and rng.random() < _HOOD_SHARE.get(mount, 0.0):
        view = (vertical - pitch, vertical + pitch)
        hood = own_vehicle(rng, view, slanted=mount == "side")
    made = Rig(camera, mount, road, s, d, speed, float(yaw), lift, pitch, float(roll), hood)
    return Rig(**{**made.__dict__, "camera": made.camera_at(site, 0.0)})
