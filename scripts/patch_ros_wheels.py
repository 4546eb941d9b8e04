# SPDX-License-Identifier: Apache-2.0
"""Make the CMake exports of the ROS 2 wheels fit the Python environment they are installed in.

The wheels' ``share/*/cmake/*Export.cmake`` files name the Python and NumPy include folders of the
machine that built them, so that no message package can be built against them. This script rewrites
both to the folders of the interpreter that runs it. Running it again changes nothing.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

import numpy as np

# numpy first: its path starts with the same /opt/python/cpXY-cpXY prefix.
NUMPY_INCLUDE = re.compile(
    r"/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/_?core/include"
)
PYTHON_INCLUDE = re.compile(r"/opt/python/cp\d+-cp\d+/include/python3\.\d+")
FOREIGN_PATH = re.compile(r"/opt/python/cp\d+-cp\d+[^\s;\"]*")


def patch_text(text: str, *, python_include: str, numpy_include: str) -> str:
    """Return ``text`` with the include folders of the build machine replaced.

    Args:
        text: Contents of one CMake export file.
        python_include: Folder of ``Python.h``.
        numpy_include: Folder of ``numpy/arrayobject.h``.

    Returns:
        The text for this machine; equal to ``text`` when there was nothing to replace.
    """
    text = NUMPY_INCLUDE.sub(lambda _: numpy_include, text)
    return PYTHON_INCLUDE.sub(lambda _: python_include, text)


def patch_environment(prefix: Path, *, python_include: str, numpy_include: str) -> int:
    """Patch every CMake export below ``prefix``.

    Args:
        prefix: Root of the virtual environment that holds the wheels.
        python_include: Folder of ``Python.h``.
        numpy_include: Folder of ``numpy/arrayobject.h``.

    Returns:
        Number of files changed by this call.

    Raises:
        ValueError: If the environment holds no such export, or one names a folder of the build
            machine that this script does not know.
    """
    exports = sorted(prefix.glob("share/*/cmake/*Export.cmake"))
    if not exports:
        raise ValueError(
            f"got no share/*/cmake/*Export.cmake in {prefix}, expected the ROS wheels"
        )
    changed = 0
    for path in exports:
        old = path.read_text(encoding="utf-8")
        new = patch_text(old, python_include=python_include, numpy_include=numpy_include)
        foreign = FOREIGN_PATH.search(new)
        if foreign:
            raise ValueError(
                f"got {foreign.group()} in {path}, expected only the Python and NumPy includes"
            )
        if new != old:
            path.write_text(new, encoding="utf-8")
            changed += 1
    return changed


def main() -> int:
    """Patch the environment of the running interpreter."""
    python_include = sysconfig.get_path("include")
    if not Path(python_include, "Python.h").is_file():
        print(f"error: no Python.h in {python_include}; install python3-dev", file=sys.stderr)
        return 1
    try:
        changed = patch_environment(
            Path(sys.prefix), python_include=python_include, numpy_include=np.get_include()
        )
    except ValueError as error:
        print(f"error: unexpected layout of the ROS wheels: {error}", file=sys.stderr)
        return 1
    print(f"patched {changed} CMake exports")
    return 0


if __name__ == "__main__":
    sys.exit(main())
