# SPDX-License-Identifier: Apache-2.0
"""Headless rendering: radiance, class, instance and metric depth of a scene in one pass."""

from dataclasses import dataclass
from typing import Any

import cv2
import moderngl
import numpy as np
import numpy.typing as npt

from training.streets import textures
from training.streets.camera import Camera
from training.streets.culling import Copies, Placed, in_view
from training.streets.gpu import (
    KINDS,
    SOLID_KINDS,
    Drawable,
    draw,
    load_program,
    set_uniform,
    shared_context,
    street_program,
    upload,
)
from training.streets.mesh import FloatArray
from training.streets.scene import Lighting, Scene
from training.streets.shadows import ShadowMap
from training.streets.sky import Sky

NEAR, FAR = 0.15, 1600.0
SHADE_REACH = 70.0
_LARGE = 0.06  # share of the image's width from which on a thing is drawn into the depth first
_LAMPS = 8
_ATLAS, _SKY, _SHADOWS = 0, 1, 2  # texture units
# Which channels of the three targets are written; the library's stub knows of one target only.
_ALL_COLORS: Any = ((True,) * 4,) * 3
_NO_COLORS: Any = ((False,) * 4,) * 3
_RADIANCE_ONLY: Any = ((True,) * 4, (False,) * 4, (False,) * 4)


@dataclass(frozen=True)
class RawFrame:
    """What the rasteriser saw.

    Attributes:
        radiance: ``(H, W, 3)`` float32 linear RGB, antialiased.
        semantic: ``(H, W)`` uint8 trainId.
        identity: ``(H, W)`` uint16 instance number, 0 = none.
        depth: ``(H, W)`` float32 metres along the optical axis, 0 = none.
    """

    radiance: npt.NDArray[np.float32]
    semantic: npt.NDArray[np.uint8]
    identity: npt.NDArray[np.uint16]
    depth: npt.NDArray[np.float32]


class Renderer:
    """Draws scenes at one image size.

    Args:
        width: Image width, pixels.
        height: Image height, pixels.
        supersample: Samples per pixel along each axis; the first lies on the pixel's centre.

    Raises:
        RendererError: If no OpenGL context can be made.
    """

    def __init__(self, width: int, height: int, supersample: int = 2) -> None:
        self.width, self.height, self.supersample = width, height, supersample
        self._context = context = shared_context()
        size = (width * supersample, height * supersample)
        self._targets = [
            context.texture(size, 4, dtype="f2"),
            context.texture(size, 1, dtype="u4"),
            context.texture(size, 1, dtype="f4"),
        ]
        self._frame = context.framebuffer(self._targets, context.depth_renderbuffer(size))
        kinds = (*KINDS, "dry_ground")
        self._street = {kind: street_program(context, "street", kind) for kind in kinds}
        self._solid = street_program(context, "solid")
        self._shade = load_program(context, "shade")
        self._shadows = ShadowMap(context, self._solid, unit=_SHADOWS, atlas_unit=_ATLAS)
        self._sky = Sky(context, _SKY)
        self._atlas: moderngl.TextureArray | None = None
        self._drawables: dict[str, Drawable] = {}
        self._radii: dict[str, float] = {}

    def load_atlas(self, atlas: npt.NDArray[np.uint8]) -> None:
        """Use these textures, ``(L, S, S, 4)`` uint8 sRGB + alpha, and forget the last meshes."""
        for drawable in self._drawables.values():
            drawable.release()
        self._drawables.clear()
        self._radii.clear()
        if self._atlas is not None:
            self._atlas.release()
        layers, size = atlas.shape[:2]
        self._atlas = self._context.texture_array((size, size, layers), 4, atlas.tobytes())
        self._atlas.build_mipmaps()
        self._atlas.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)

    def _drawable(self, scene: Scene, name: str) -> Drawable:
        if name not in self._drawables:
            self._drawables[name] = upload(self._context, scene.meshes[name])
        return self._drawables[name]

    def _radii_of(self, scene: Scene) -> dict[str, float]:
        for name, mesh in scene.meshes.items():
            if name not in self._radii:
                self._radii[name] = mesh.radius
        return self._radii

    def render(self, scene: Scene, camera: Camera, lighting: Lighting) -> RawFrame:
        """Draw a scene.

        A name of a mesh stands for the same mesh until :meth:`load_atlas` is called again.
        """
        if self._atlas is None:
            message = "load_atlas first"
            raise RuntimeError(message)
        context = self._context
        self._atlas.use(_ATLAS)
        self._sky.use(lighting.sky)
        copies = Copies.of(scene.placements, self._radii_of(scene))
        shadow_from_world = self._shadows.draw(
            scene, copies, camera, lighting, lambda name: self._drawable(scene, name)
        )
        projection = camera.clip_from_camera(self.supersample, NEAR, FAR)
        clip_from_world = projection @ camera.camera_from_world
        self._frame.use()
        context.disable(moderngl.BLEND)
        self._frame.clear(depth=1.0)
        for street in self._street.values():
            self._set_uniforms(
                street.program, camera, lighting, clip_from_world, shadow_from_world
            )
        context.enable(moderngl.DEPTH_TEST)
        visible = self._visible(scene, copies, camera)
        self._draw_depth(visible, clip_from_world)
        for kind in (*SOLID_KINDS, "foliage"):
            dry = kind == "ground" and not lighting.wetness
            street = self._street["dry_ground" if dry else kind]
            for drawable, kept, _ in visible:
                draw(context, street, drawable, kind, kept)
            if kind == "ground":
                self._draw_shades(scene, camera, clip_from_world)
        self._sky.draw(camera, lighting, projection)
        # Veils (twigs, fences, spokes) blend into what is behind them, so they come last, far
        # ones first; only the radiance blends: the label and the depth have alpha 1 or none.
        context.enable(moderngl.BLEND)
        context.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA
        for drawable, kept, _ in reversed(visible):
            draw(context, self._street["veil"], drawable, "veil", kept[::-1])
        context.disable(moderngl.BLEND)
        return self._read()

    def _draw_depth(
        self, visible: list[tuple[Drawable, Placed, Placed]], clip_from_world: FloatArray
    ) -> None:
        """Fill the depth buffer with what hides much, so that what it hides is never shaded."""
        set_uniform(self._solid.program, "clip_from_world", clip_from_world)
        self._frame.color_mask = _NO_COLORS
        for drawable, _, large in visible:
            draw(self._context, self._solid, drawable, "solid", large)
        self._frame.color_mask = _ALL_COLORS

    def _visible(
        self, scene: Scene, copies: Copies, camera: Camera
    ) -> list[tuple[Drawable, Placed, Placed]]:
        """Return what is in view, near things first, and which of it looks large."""
        visible = []
        away = copies.distance(camera.position)
        is_large = copies.radii * camera.focal_length > _LARGE * camera.width * away
        for name, kept in copies.by_name(in_view(copies, camera)):
            kept = kept[np.argsort(away[kept], kind="stable")]
            nearest = float(away[kept[0]]) - self._radii[name]
            large = copies.placed[kept[is_large[kept]]]
            visible.append((nearest, self._drawable(scene, name), copies.placed[kept], large))
        visible.sort(key=lambda item: item[0])
        return [item[1:] for item in visible]

    def _draw_shades(self, scene: Scene, camera: Camera, clip_from_world: FloatArray) -> None:
        """Darken the ground below things; labels and depth stay as they are."""
        if not scene.shades:
            return
        matrices = np.stack(scene.shades)
        away = np.linalg.norm(matrices[:, :2, 3] - camera.position[:2], axis=1)
        rows = np.ascontiguousarray(matrices[away < SHADE_REACH, :3], np.float32)
        if not len(rows):
            return
        context = self._context
        set_uniform(self._shade, "clip_from_world", clip_from_world)
        instances = context.buffer(rows.tobytes())
        content = [(instances, "4f4 4f4 4f4/i", "in_row0", "in_row1", "in_row2")]
        array = context.vertex_array(self._shade, content)
        self._frame.color_mask = _RADIANCE_ONLY
        self._frame.depth_mask = False
        context.enable(moderngl.BLEND)
        context.blend_func = moderngl.DST_COLOR, moderngl.ZERO
        array.render(moderngl.TRIANGLE_STRIP, vertices=4, instances=len(rows))
        context.disable(moderngl.BLEND)
        self._frame.color_mask = _ALL_COLORS
        self._frame.depth_mask = True
        array.release()
        instances.release()

    def _set_uniforms(
        self,
        program: moderngl.Program,
        camera: Camera,
        lighting: Lighting,
        clip_from_world: FloatArray,
        shadow_from_world: FloatArray,
    ) -> None:
        for name, unit in (("atlas", _ATLAS), ("sky", _SKY), ("shadow_map", _SHADOWS)):
            set_uniform(program, name, unit)
        set_uniform(program, "noise_layer", textures.NOISE)
        set_uniform(program, "clip_from_world", clip_from_world)
        set_uniform(program, "shadow_from_world", shadow_from_world)
        set_uniform(program, "eye", camera.position)
        for name in ("sun_direction", "sun_color", "ambient_up", "ambient_down", "fog_color"):
            set_uniform(program, name, np.asarray(getattr(lighting, name)))
        for name in ("fog_density", "wetness", "window_glow", "lamp_glow"):
            set_uniform(program, name, float(getattr(lighting, name)))
        lamps = lighting.lamps[:_LAMPS]
        positions, colors = np.zeros((_LAMPS, 4)), np.zeros((_LAMPS, 3))
        for row, lamp in enumerate(lamps):
            positions[row] = (*lamp.position, lamp.reach)
            colors[row] = lamp.color
        set_uniform(program, "lamp_count", len(lamps))
        set_uniform(program, "lamp_position", positions)
        set_uniform(program, "lamp_color", colors)

    def _read(self) -> RawFrame:
        step = self.supersample
        rows, columns = self.height * step, self.width * step
        color = np.frombuffer(self._targets[0].read(), np.float16).reshape(rows, columns, 4)
        label = np.frombuffer(self._targets[1].read(), np.uint32).reshape(rows, columns)
        depth = np.frombuffer(self._targets[2].read(), np.float32).reshape(rows, columns)
        label = label[::step, ::step]
        return RawFrame(
            antialiased(color[..., :3].astype(np.float32), step),
            (label & 255).astype(np.uint8),
            (label >> 8).astype(np.uint16),
            np.ascontiguousarray(depth[::step, ::step]),
        )


def antialiased(radiance: npt.NDArray[np.float32], step: int) -> npt.NDArray[np.float32]:
    """Return ``(H, W, 3)`` from samples ``(H * step, W * step, 3)``.

    Sample (0, 0) of each pixel is its centre, so the filter is a tent centred on it.
    """
    if step == 1:
        return radiance
    # A lamp or the sun must not make whole pixels white through one sample.
    bounded = np.minimum(radiance, 8.0)
    tent = np.concatenate([np.arange(1, step + 1), np.arange(step - 1, 0, -1)]).astype(np.float32)
    tent /= tent.sum()
    smooth = cv2.sepFilter2D(bounded, -1, tent, tent, borderType=cv2.BORDER_REFLECT)
    return np.ascontiguousarray(smooth[::step, ::step], np.float32)
