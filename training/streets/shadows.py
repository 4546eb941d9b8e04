# SPDX-License-Identifier: Apache-2.0
"""What the sun reaches: a depth map seen from the sun around the camera's view."""

from collections.abc import Callable

import moderngl
import numpy as np

from training.streets.camera import Camera
from training.streets.culling import Copies, may_shade
from training.streets.gpu import Drawable, StreetProgram, draw, set_uniform, street_program
from training.streets.mesh import FloatArray
from training.streets.scene import Lighting, Scene

SIZE = 1024
REACH = 45.0  # half the edge of the shadow map, metres
_DIMMEST_SUN = 0.12  # weaker sunlight casts no visible shadow
_LONGEST_SHADOW = 320.0  # through the whole shadow map, metres


class ShadowMap:
    """A depth texture in the sun's view.

    Args:
        context: Where it is drawn.
        solid: The program that draws depth alone; shared with the camera's view.
        unit: Texture unit that it is bound to.
        atlas_unit: That of the textures, for their holes.
    """

    def __init__(
        self, context: moderngl.Context, solid: StreetProgram, *, unit: int, atlas_unit: int
    ) -> None:
        self._context, self._solid = context, solid
        self._unit, self._atlas_unit = unit, atlas_unit
        self._texture = context.depth_texture((SIZE, SIZE))
        self._texture.compare_func = "<="
        self._texture.repeat_x = self._texture.repeat_y = False
        self._frame = context.framebuffer(depth_attachment=self._texture)
        # Holes of leaves and veils let the sun through.
        self._pierced = street_program(context, "shadow")

    def draw(
        self,
        scene: Scene,
        copies: Copies,
        camera: Camera,
        lighting: Lighting,
        drawable: Callable[[str], Drawable],
    ) -> FloatArray:
        """Draw what may cast a shadow into the view, and bind the map.

        Args:
            scene: Its meshes and which of them cast none.
            copies: Where they stand.
            camera: Whose view matters.
            lighting: The sun.
            drawable: Gives a mesh's buffers by its name.

        Returns:
            Matrix from the world to the map, ``(4, 4)``.
        """
        forward = camera.world_from_camera[:3, 2]
        focus = camera.position + forward * [1, 1, 0] * REACH * 0.75
        clip_from_world = sun_view(focus, lighting.sun_direction)
        self._frame.use()
        self._frame.clear(depth=1.0)
        if float(np.max(lighting.sun_color)) > _DIMMEST_SUN:
            self._context.enable(moderngl.DEPTH_TEST)
            set_uniform(self._pierced.program, "atlas", self._atlas_unit)
            for street in (self._solid, self._pierced):
                set_uniform(street.program, "clip_from_world", clip_from_world)
            casts = may_shade(copies, camera, lighting.sun_direction, _LONGEST_SHADOW)
            casts &= copies.distance(focus) < REACH * 1.6 + copies.radii
            for name, kept in copies.by_name(casts):
                if name in scene.casts_no_shadow:
                    continue
                mesh, placed = drawable(name), copies.placed[kept]
                draw(self._context, self._solid, mesh, "solid", placed)
                for kind in ("foliage", "veil"):
                    draw(self._context, self._pierced, mesh, kind, placed)
        self._texture.use(self._unit)
        unit_from_clip = np.diag([0.5, 0.5, 0.5, 1.0])
        unit_from_clip[:3, 3] = 0.5
        return np.asarray(unit_from_clip @ clip_from_world)


def sun_view(focus: FloatArray, sun_direction: FloatArray) -> FloatArray:
    """Return the orthographic ``(4, 4)`` clip-from-world matrix of the sun."""
    toward = np.asarray(sun_direction, float)
    side = np.cross([0.0, 0.0, 1.0], toward)
    side = side / max(float(np.linalg.norm(side)), 1e-6)
    rotation = np.stack([side, np.cross(toward, side), -toward])
    # Whole texels only, or shadows would crawl over a moving sequence.
    texel = 2 * REACH / SIZE
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = -np.round(rotation @ focus / texel) * texel
    return np.asarray(np.diag([1 / REACH, 1 / REACH, 1 / 160.0, 1.0]) @ matrix)
