# SPDX-License-Identifier: Apache-2.0
"""The sky: what is behind everything, and what shiny things mirror."""

import moderngl
import numpy as np
import numpy.typing as npt

from training.streets.camera import Camera
from training.streets.gpu import load_program, set_uniform
from training.streets.mesh import FloatArray
from training.streets.scene import Lighting


class Sky:
    """A texture of the sky on a texture unit, and the program that fills the background.

    Args:
        context: Where it is drawn.
        unit: Texture unit that it is bound to.
    """

    def __init__(self, context: moderngl.Context, unit: int) -> None:
        self._context, self._unit = context, unit
        self._program = load_program(context, "sky")
        self._vertices = context.vertex_array(self._program, [])
        self._texture: moderngl.Texture | None = None
        self._pixels: npt.NDArray[np.float32] | None = None

    def use(self, sky: npt.NDArray[np.float32]) -> None:
        """Bind a sky, ``(S, S, 3)`` float32; the frames of a drive share one."""
        if self._texture is None or self._pixels is not sky:
            if self._texture is not None:
                self._texture.release()
            height, width = sky.shape[:2]
            pixels = np.ascontiguousarray(sky, np.float32).tobytes()
            self._texture = self._context.texture((width, height), 3, pixels, dtype="f4")
            self._texture.build_mipmaps()
            self._pixels = sky
        self._texture.use(self._unit)

    def draw(self, camera: Camera, lighting: Lighting, projection: FloatArray) -> None:
        """Fill what nothing else has covered; ``projection``: clip from camera, ``(4, 4)``."""
        # The ray through a clip-space point (x, y): undo the projection at depth 1.
        camera_from_clip = np.zeros((4, 4))
        camera_from_clip[:2, :2] = np.diag(1 / np.diag(projection)[:2])
        camera_from_clip[:2, 3] = -projection[:2, 2] / np.diag(projection)[:2]
        camera_from_clip[2, 3] = 1.0
        rotation = np.eye(4)
        rotation[:3, :3] = camera.world_from_camera[:3, :3]
        set_uniform(self._program, "sky", self._unit)
        set_uniform(self._program, "ray_from_clip", rotation @ camera_from_clip)
        set_uniform(self._program, "fog_color", np.asarray(lighting.fog_color))
        set_uniform(self._program, "fog_amount", float(1 - np.exp(-lighting.fog_density * 400)))
        self._vertices.render(moderngl.TRIANGLES, vertices=3)
