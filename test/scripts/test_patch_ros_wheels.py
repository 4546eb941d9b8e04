# SPDX-License-Identifier: Apache-2.0
"""The CMake exports of the ROS wheels end up with this machine's include folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.patch_ros_wheels import patch_environment

EXPORT = (
    'INTERFACE_INCLUDE_DIRECTORIES "${_IMPORT_PREFIX}/include/std_msgs;'
    "/opt/python/cp311-cp311/include/python3.11;"
    '/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/_core/include"\n'
)
PATCHED = (
    'INTERFACE_INCLUDE_DIRECTORIES "${_IMPORT_PREFIX}/include/std_msgs;/py/include;/np/include"\n'
)


def write_export(prefix: Path, text: str) -> Path:
    """Write one export file where the wheels have theirs."""
    path = prefix / "share/std_msgs/cmake/export_std_msgs__rosidl_generator_pyExport.cmake"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path


def patch(prefix: Path) -> int:
    """Patch with two folders that are easy to recognise."""
    return patch_environment(prefix, python_include="/py/include", numpy_include="/np/include")


def test_both_folders_are_replaced_once(tmp_path: Path) -> None:
    path = write_export(tmp_path, EXPORT)
    assert patch(tmp_path) == 1
    assert path.read_text(encoding="utf-8") == PATCHED
    assert patch(tmp_path) == 0
    assert path.read_text(encoding="utf-8") == PATCHED


def test_an_unknown_folder_of_the_build_machine_is_named(tmp_path: Path) -> None:
    write_export(tmp_path, 'SET(X "/opt/python/cp311-cp311/lib/libpython3.11.so")\n')
    with pytest.raises(ValueError, match=r"got /opt/python/cp311-cp311/lib/libpython3\.11\.so in"):
        patch(tmp_path)


def test_an_environment_without_wheels_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected the ROS wheels"):
        patch(tmp_path)
