# SPDX-License-Identifier: Apache-2.0
"""The OpenGL side of meshes: the headless context, shader programs, buffers and draw calls."""

import contextlib
import importlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import moderngl
import numpy as np
import numpy.typing as npt

from training.streets.mesh import Material, Mesh

_SHADERS = Path(__file__).parent / "shaders"
# Which materials each shading program draws, in drawing order.
KINDS: dict[str, tuple[Material, ...]] = {
    "matte": (Material.MATTE, Material.EMISSIVE),
    "shiny": (Material.PAINT, Material.GLASS),
    "facade": (Material.FACADE,),
    "ground": (Material.GROUND,),
    "foliage": (Material.FOLIAGE,),
    "veil": (Material.VEIL,),
}
SOLID_KINDS = ("matte", "shiny", "facade", "ground")
_VERTEX_LAYOUT = {
    "in_position": ("3f4", 12),
    "in_normal": ("3f4", 12),
    "in_uv": ("2f4", 8),
    "in_color": ("4f1", 4),
    "in_info": ("1u4", 4),
}
_INSTANCE_LAYOUT = {
    "in_row0": ("4f4", 16),
    "in_row1": ("4f4", 16),
    "in_row2": ("4f4", 16),
    "in_colors": ("4u4", 16),
    "in_identity": ("1u4", 4),
}


class RendererError(RuntimeError):
    """No OpenGL context can be made on this machine."""


def shared_context() -> moderngl.Context:
    """Return this process's headless context; OpenGL calls go to one current context only.

    A forked child gets one of its own.

    Raises:
        RendererError: If EGL or Mesa is missing; names the packages to install.
    """
    return _context_of(os.getpid())


@cache
def _context_of(process: int) -> moderngl.Context:
    # The software rasteriser reads this once. One thread per process: workers share the cores.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    # Mesa and triton, which torch loads late, have an LLVM each. Mesa's before triton's crashes.
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")
    options: dict[str, Any] = {"backend": "egl", "require": 430}
    try:
        context = moderngl.create_standalone_context(**options)
    except Exception as error:
        message = (
            "no headless OpenGL 4.3 context: install the packages "
            f"libegl1 libegl-mesa0 libgl1-mesa-dri ({error})"
        )
        raise RendererError(message) from error
    context.gc_mode = "auto"
    context.depth_func = "<="  # what fills the depth buffer is drawn once more, in colour
    return context


def load_program(
    context: moderngl.Context, name: str, kind: str | None = None
) -> moderngl.Program:
    """Compile ``shaders/{name}``; ``kind`` chooses what a surface shader can shade."""
    fragment = (_SHADERS / f"{name}.frag").read_text()
    if kind is not None:
        fragment = fragment.replace("//! KIND", f"#define KIND KIND_{kind.upper()}")
    vertex = (_SHADERS / f"{name}.vert").read_text()
    return context.program(vertex_shader=vertex, fragment_shader=fragment)


def set_uniform(program: moderngl.Program, name: str, value: Any) -> None:
    """Set a uniform if the program uses it; matrices ``(4, 4)`` are given row by row."""
    if name not in program:
        return
    uniform: Any = program[name]
    if isinstance(value, np.ndarray) and value.shape == (4, 4):
        uniform.write(np.ascontiguousarray(value.T, np.float32).tobytes())
    elif isinstance(value, np.ndarray) and value.ndim == 2:
        uniform.write(np.ascontiguousarray(value, np.float32).tobytes())
    elif isinstance(value, np.ndarray):
        uniform.value = tuple(map(float, value))
    else:
        uniform.value = value


@dataclass(frozen=True)
class StreetProgram:
    """A compiled program and the buffer layouts it reads."""

    program: moderngl.Program
    vertices: tuple[str, ...]
    instances: tuple[str, ...]


def street_program(context: moderngl.Context, name: str, kind: str | None = None) -> StreetProgram:
    """Compile a program that draws placed meshes."""
    program = load_program(context, name, kind)
    return StreetProgram(
        program, _layout(program, _VERTEX_LAYOUT, ""), _layout(program, _INSTANCE_LAYOUT, "/i")
    )


@dataclass
class Drawable:
    """A mesh on the GPU: its triangles apart by the program that shades them.

    Under "solid" are, once more, the triangles of all ``SOLID_KINDS``.
    """

    vertices: moderngl.Buffer
    triangles: dict[str, moderngl.Buffer]

    def release(self) -> None:
        """Free its memory."""
        self.vertices.release()
        for buffer in self.triangles.values():
            buffer.release()


def upload(context: moderngl.Context, mesh: Mesh) -> Drawable:
    """Copy a mesh to the GPU."""
    material = mesh.vertices["info"][mesh.triangles[:, 0]] >> 12 & 15
    triangles = {}
    for kind, materials in KINDS.items():
        chosen = np.isin(material, materials)
        if chosen.any():
            indices = np.ascontiguousarray(mesh.triangles[chosen])
            triangles[kind] = context.buffer(indices.tobytes())
    chosen = np.isin(material, [m for kind in SOLID_KINDS for m in KINDS[kind]])
    if chosen.any():
        triangles["solid"] = context.buffer(np.ascontiguousarray(mesh.triangles[chosen]).tobytes())
    return Drawable(context.buffer(mesh.vertices.tobytes()), triangles)


def draw(
    context: moderngl.Context,
    program: StreetProgram,
    drawable: Drawable,
    kind: str,
    placed: npt.NDArray[np.void],
) -> None:
    """Draw the triangles of one kind of every placed copy ``(N,)`` of a mesh."""
    triangles = drawable.triangles.get(kind)
    if triangles is None or not len(placed):
        return
    instances = context.buffer(placed.tobytes())
    content = [
        (drawable.vertices, *program.vertices),
        (instances, *program.instances),
    ]
    array = context.vertex_array(program.program, content, triangles)
    array.render(instances=len(placed))
    array.release()
    instances.release()


def _layout(
    program: moderngl.Program, layout: dict[str, tuple[str, int]], suffix: str
) -> tuple[str, ...]:
    """Return a buffer layout without what the program does not read, and the names it reads."""
    words = [word if name in program else f"{size}x" for name, (word, size) in layout.items()]
    return (" ".join(words) + suffix, *(name for name in layout if name in program))
