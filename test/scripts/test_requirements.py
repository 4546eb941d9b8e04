# SPDX-License-Identifier: Apache-2.0
"""Every dependency is pinned, in one place, and the package's versions agree."""

from __future__ import annotations

import ast
import contextlib
import importlib.metadata
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "requirements").glob("*.txt"))
# name, optional extras, exact version, optional environment marker
PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[a-z0-9,-]+\])?==([0-9][A-Za-z0-9.!+]*)(?: ?; ?(.+))?")

WITHOUT_ROS = pytest.mark.skipif(
    "ROS_DISTRO" in os.environ, reason="a ROS installation brings unpinned packages"
)


def requirement_lines(path: Path) -> list[str]:
    """Return the lines of ``path`` that name a requirement."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def normalised(name: str) -> str:
    """Return a distribution's name in the form in which two names can be compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_requirement_files_are_there() -> None:
    assert {path.name for path in FILES} == {
        "constraints.txt",
        "dev.txt",
        "ros-jazzy-wheels.txt",
        "runtime.txt",
        "training.txt",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_requirement_is_pinned_exactly(path: Path) -> None:
    lines = requirement_lines(path)
    assert lines
    assert [line for line in lines if not PIN.fullmatch(line)] == []


def test_no_name_is_pinned_in_two_places() -> None:
    files = Counter()
    for path in FILES:
        names = {PIN.fullmatch(line).group(1) for line in requirement_lines(path)}
        files.update(normalised(name) for name in names)
    assert [name for name, count in files.items() if count > 1] == []


def imported_modules(*folders: str) -> set[str]:
    """Return the top-level names that the modules in some folders import from elsewhere."""
    own = {"depthlab_core", "depthlab_ros", "training"}
    names = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module.partition(".")[0])
    return names - own - set(sys.stdlib_module_names)


@WITHOUT_ROS
def test_every_import_is_pinned() -> None:
    pinned = {
        normalised(PIN.fullmatch(line).group(1))
        for path in FILES
        for line in requirement_lines(path)
        # A message package may come with another; the rest is pinned by its own name.
        if path.name != "constraints.txt" or line.startswith("ros-")
    }
    distributions = importlib.metadata.packages_distributions()
    # What is not installed is optional, and comes with a ROS installation.
    packages = ("depthlab_core", "depthlab_ros", "training")
    imported = (imported_modules(*packages) - {"depthlab_msgs"}) & set(distributions)
    assert {"numpy", "rclpy", "torch"} <= imported
    assert {
        name
        for name in imported
        if pinned.isdisjoint(normalised(distribution) for distribution in distributions[name])
    } == set()


@WITHOUT_ROS
def test_the_documented_command_installs_what_training_imports(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"```\n([^`]*pip install[^`]*)```", text)
    pip = tmp_path / "pip"
    pip.write_text(
        "#!/bin/bash\nwhile [ $# -gt 0 ]; do [ $1 != -r ] || cat $2; shift; done\n",
        encoding="utf-8",
    )
    pip.chmod(0o755)
    listed = tmp_path / "listed.txt"
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with listed.open("w", encoding="utf-8") as output:
        subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=environment, stdout=output, check=True
        )
    names = {normalised(PIN.fullmatch(line).group(1)) for line in requirement_lines(listed)}
    assert {"numpy", "opencv-python-headless", "torch", "onnx"} <= names
    assert not any(name.startswith("ros-") for name in names)
    distributions = importlib.metadata.packages_distributions()
    imported = imported_modules("depthlab_core", "training") & set(distributions)
    missing = {
        name
        for name in imported
        if names.isdisjoint(normalised(distribution) for distribution in distributions[name])
    }
    # A backend that is not there unless it is asked for.
    assert missing <= {"onnxruntime"}


def test_what_a_ros_installation_brings_is_not_constrained() -> None:
    names = {
        PIN.fullmatch(line).group(1)
        for line in requirement_lines(ROOT / "requirements/constraints.txt")
    }
    assert names.isdisjoint({"numpy", "opencv-python-headless"})


def test_nothing_demands_another_numpy_than_that_of_a_ros_installation() -> None:
    # Ubuntu 24.04's, which its OpenCV and cv_bridge are built for.
    python, numpy = {"python_version": "3.12", "python_full_version": "3.12.3"}, "1.26.4"
    demands = {}
    for path in FILES:
        if path.stem == "ros-jazzy-wheels":
            continue
        for line in requirement_lines(path):
            name = PIN.fullmatch(line).group(1)
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                demands[name] = importlib.metadata.requires(name) or []
    assert "ml-dtypes" in demands
    for name, lines in demands.items():
        for needed in map(Requirement, lines):
            if needed.name == "numpy" and (
                needed.marker is None or needed.marker.evaluate({**python, "extra": ""})
            ):
                assert numpy in needed.specifier, name


def test_the_versions_agree() -> None:
    versions = {
        "package.xml": ElementTree.parse(ROOT / "package.xml").findtext("version"),
        "msg/package.xml": ElementTree.parse(ROOT / "msg/package.xml").findtext("version"),
        "setup.py": re.search(r'version="(.+)"', (ROOT / "setup.py").read_text()).group(1),
    }
    assert len(set(versions.values())) == 1, versions


def test_package_xml_names_the_ros_packages_that_are_used() -> None:
    package = ElementTree.parse(ROOT / "package.xml")
    # ros2bag itself depends on no plugin that reads a bag.
    started = {"ros2bag", "ros2launch", "rosbag2_storage_default_plugins", "rviz2"}
    named = {
        element.text
        for kind in ("depend", "exec_depend")
        for element in package.iterfind(kind)
        if not element.text.startswith("python3-")
    }
    imported = imported_modules("depthlab_ros", "launch")
    # The one package whose module has another name.
    modules = {name.removesuffix("_py") for name in named}
    assert started <= named
    assert modules - started - imported == set()

    def interfaces(names: set[str]) -> set[str]:
        return {name for name in names if re.fullmatch(r"\w+_(msgs|srvs|interfaces)", name)}

    tested = {element.text for element in package.iterfind("test_depend")}
    assert interfaces(imported) <= named
    assert interfaces(imported_modules("test/ros")) <= named | tested
