# SPDX-License-Identifier: Apache-2.0
"""Launch, parameter and RViz files: in step with the code that they start.

Where ROS's launch packages are installed, the launch file is really evaluated.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import rclpy
import yaml
from sensor_msgs.msg import Image

from depthlab_core import CITYSCAPES, build_network, save_checkpoint
from depthlab_core.model_zoo import LITE0
from depthlab_ros.child_process import PROFILE_VARIABLES, TRANSPORT_VARIABLES
from depthlab_ros.node import DepthLabNode
from depthlab_ros.outputs import OUTPUTS
from depthlab_ros.parameters import NodeParameters
from depthlab_ros.player import DEFAULT_FRAME_ID, PlayerParameters

ROOT = Path(__file__).parents[2]
COMMON = {"model", "device", "params_file", "rviz", "fixed_frame", "large_images"}
TOPICS = {"image_topic", "compressed_topic", "camera_info_topic", "image_transport"}
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_launch_file_compiles(path):
    compile(path.read_text(encoding="utf-8"), str(path), "exec")


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_launch_file_describes_every_argument(path):
    pytest.importorskip("launch_ros", reason="ROS's launch packages are not installed")
    from launch.actions import DeclareLaunchArgument

    entities = load(path).entities
    arguments = [entity for entity in entities if isinstance(entity, DeclareLaunchArgument)]
    assert {argument.name for argument in arguments} == {
        "camera.launch.py": COMMON | TOPICS | {"source", "rate"},
        "replay.launch.py": COMMON | TOPICS | {"bag", "rate", "loop"},
        "multi_camera.launch.py": COMMON | {"cameras", "sources", "image_transport"},
    }[path.name]
    assert all(argument.description for argument in arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "executables"),
    [
        ("camera", {"source": "none"}, ["depthlab_node"]),
        ("camera", {"source": "0", "rate": "5"}, ["camera_player", "depthlab_node"]),
        ("replay", {"bag": "drive", "image_topic": "/a/b"}, ["depthlab_node"]),
        ("multi_camera", {"sources": "0,1"}, ["depthlab_node", "camera_player", "camera_player"]),
        ("multi_camera", {"cameras": "a", "rviz": "true"}, ["depthlab_node", "rviz2"]),
    ],
)
def test_launch_file_starts(name, arguments, executables, monkeypatch):
    pytest.importorskip("launch_ros", reason="ROS's launch packages are not installed")
    from launch.actions import SetEnvironmentVariable
    from launch_ros.actions import Node

    def variables(entities):
        settings = [entity for entity in entities if isinstance(entity, SetEnvironmentVariable)]
        return [setting.name[0].text for setting in settings]

    context, nodes = evaluated(name, arguments)
    for variable in TRANSPORT_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    entities = nodes.execute(context)
    assert variables(entities) == list(PROFILE_VARIABLES)
    started = [entity.node_executable for entity in entities if isinstance(entity, Node)]
    assert started == executables
    # What the user has chosen stays.
    for variable in TRANSPORT_VARIABLES:
        with monkeypatch.context() as environment:
            environment.setenv(variable, "mine")
            assert variables(nodes.execute(context)) == []


DEFAULT = {
    "image_raw": "/image_raw",
    "image_raw/compressed": "/image_raw/compressed",
    "camera_info": "/camera_info",
}


@pytest.mark.parametrize(
    ("name", "arguments", "topics"),
    [
        ("replay", {"bag": "drive"}, DEFAULT),
        ("replay", {"bag": "drive", "image_transport": "compressed"}, DEFAULT),
        (
            "replay",
            {"bag": "drive", "image_topic": "/front/image/compressed"},
            {
                "image_raw": "/front/image",
                "image_raw/compressed": "/front/image/compressed",
                "camera_info": "/front/camera_info",
            },
        ),
        (
            "replay",
            {"bag": "drive", "image_topic": "/a/b", "compressed_topic": "/a/jpeg"},
            {
                "image_raw": "/a/b",
                "image_raw/compressed": "/a/jpeg",
                "camera_info": "/a/camera_info",
            },
        ),
        # Relative, so that they can be pushed into a namespace.
        ("camera", {"source": "none"}, {topic: topic for topic in DEFAULT}),
        (
            "camera",
            {"source": "0", "image_topic": "/a/b", "camera_info_topic": "/c"},
            {
                "image_raw": "/a/b",
                "image_raw/compressed": "/a/b/compressed",
                "camera_info": "/c",
            },
        ),
    ],
)
def test_topic_arguments_reach_the_nodes(name, arguments, topics):
    pytest.importorskip("launch_ros", reason="ROS's launch packages are not installed")
    from launch_ros.actions import Node

    context, nodes = evaluated(name, arguments)
    started = [entity for entity in nodes.execute(context) if isinstance(entity, Node)]
    assert started
    for node in started:
        node._perform_substitutions(context)
        assert dict(node.expanded_remapping_rules) == topics


@pytest.mark.parametrize(
    ("name", "arguments", "transport"),
    [
        ("camera", {"source": "none"}, None),
        ("camera", {"source": "none", "image_topic": "/a/b/compressed"}, "compressed"),
        ("camera", {"source": "none", "compressed_topic": "/a/jpeg"}, "compressed"),
        ("camera", {"source": "none", "image_transport": "raw"}, "raw"),
        # What camera_player publishes is raw.
        ("camera", {"source": "0", "image_topic": "/a/b/compressed"}, None),
        ("camera", {"source": "0", "image_transport": "compressed"}, "compressed"),
        ("replay", {"bag": "drive"}, "raw"),
        ("replay", {"bag": "drive", "image_topic": "/a/b/compressed"}, "compressed"),
        ("replay", {"bag": "drive", "compressed_topic": "/a/jpeg"}, "compressed"),
        ("multi_camera", {}, None),
        ("multi_camera", {"image_transport": "compressed"}, "compressed"),
    ],
)
def test_image_transport_reaches_the_node(name, arguments, transport):
    pytest.importorskip("launch_ros", reason="ROS's launch packages are not installed")
    from launch_ros.actions import LifecycleNode

    context, nodes = evaluated(name, arguments)
    [node] = [entity for entity in nodes.execute(context) if isinstance(entity, LifecycleNode)]
    node._perform_substitutions(context)
    files = [Path(path) for path, _ in node._Node__expanded_parameter_arguments]
    written = [path.read_text(encoding="utf-8") for path in files if path != Path("mine.yaml")]
    found = re.findall("image_transport: (.*)", "".join(written))
    assert found == ([transport] if transport else [])


def test_rviz_is_told_the_fixed_frame():
    pytest.importorskip("launch_ros", reason="ROS's launch packages are not installed")
    from launch.utilities import perform_substitutions

    for arguments, options in (({}, []), ({"fixed_frame": "front"}, ["-f", "front"])):
        context, nodes = evaluated("camera", {"rviz": "true"} | arguments)
        rviz = nodes.execute(context)[-1]
        rviz._perform_substitutions(context)
        assert dict(rviz.expanded_remapping_rules) == {"/image_raw": "image_raw"}
        # Behind the executable, -d and the view.
        words = [perform_substitutions(context, word) for word in rviz.cmd[3:]]
        assert words[: words.index("--ros-args")] == options


@pytest.mark.parametrize(
    ("arguments", "rate", "loop"),
    [({}, 1.0, False), ({"rate": "0.5", "loop": "true"}, 0.5, True)],
)
def test_the_command_that_plays_a_bag_is_one_that_ros2_bag_takes(tmp_path, arguments, rate, loop):
    pytest.importorskip("launch_ros", reason="ROS's launch packages are not installed")
    play = pytest.importorskip("ros2bag.verb.play", reason="ros2bag is not installed")
    from launch.actions import RegisterEventHandler
    from launch.utilities import perform_substitutions

    context, nodes = evaluated("replay", {"bag": str(tmp_path)} | arguments)
    [player] = [
        entity
        for handler in nodes.execute(context)
        if isinstance(handler, RegisterEventHandler)
        for entity in handler.event_handler.entities
    ]
    ros2, bag, verb, *options = [perform_substitutions(context, part) for part in player.cmd]
    assert (ros2, bag, verb) == ("ros2", "bag", "play")
    parser = argparse.ArgumentParser()
    play.PlayVerb().add_arguments(parser, "ros2")
    taken = parser.parse_args(options)
    assert Path(getattr(taken, "bag_path", options[0])) == tmp_path
    assert (taken.clock, taken.delay) == (100.0, 0.0 if loop else 1.0)
    assert (taken.rate, taken.loop) == (rate, loop)


# Includes a launch file and ends with the first process that does.
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription, RegisterEventHandler, Shutdown
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource

path, *arguments = sys.argv[1:]
included = IncludeLaunchDescription(
    PythonLaunchDescriptionSource(path),
    launch_arguments=[argument.split(":=", 1) for argument in arguments],
)
end = RegisterEventHandler(OnProcessExit(on_exit=[Shutdown()]))
service = LaunchService()
service.include_launch_description(LaunchDescription([end, included]))
service.run()
"""


def test_a_bag_is_played_once_the_node_is_active(tmp_path):
    pytest.importorskip("launch_ros", reason="ROS's launch packages are not installed")
    checkpoint = tmp_path / "untrained.safetensors"
    save_checkpoint(checkpoint, build_network("lite0").state_dict(), LITE0, CITYSCAPES, {})
    # All that is wanted of the command here is to know when it begins.
    command = tmp_path / "ros2"
    command.write_text("#!/bin/sh\necho begins: $*\n")
    command.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, ROOT / "launch" / "replay.launch.py"]
        + ["bag:=my_bag", f"model:={checkpoint}", "device:=cpu"],
        env=environment | {"ROS_LOG_DIR": str(tmp_path / "log")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=300)
    finally:
        # What it has started, too, if it hangs: a node would be in the way of other tests.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert "begins: bag play my_bag --clock 100" in said
    ready, begins = (said.find(text) for text in ("waiting for images on", "begins: "))
    assert 0 <= ready < begins


def evaluated(name, arguments):
    """Return a context with a launch file's arguments, and the function that makes its nodes."""
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument, OpaqueFunction

    entities = load(ROOT / "launch" / f"{name}.launch.py").entities
    context = LaunchContext()
    context.launch_configurations.update(arguments | {"params_file": "mine.yaml"})
    for entity in entities:
        if isinstance(entity, DeclareLaunchArgument) and entity.name != "params_file":
            entity.execute(context)
    [nodes] = [entity for entity in entities if isinstance(entity, OpaqueFunction)]
    return context, nodes


def load(path):
    spec = importlib.util.spec_from_file_location("launch_file", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def _as_yaml(parameters):
    values = dataclasses.asdict(parameters)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def test_parameter_file_names_real_parameters_with_their_defaults():
    content = yaml.safe_load((ROOT / "config" / "depthlab.yaml").read_text(encoding="utf-8"))
    node = content["/**/depthlab_node"]["ros__parameters"]
    assert node == _as_yaml(NodeParameters())
    player = content["/**/camera_player"]["ros__parameters"]
    defaults = dataclasses.asdict(PlayerParameters())
    assert set(player) <= set(defaults)
    # Behind a launch file, a recording plays on and on.
    assert player == {name: defaults[name] for name in player} | {"loop": True}


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("depthlab_node", NodeParameters), ("camera_player", PlayerParameters)],
)
def test_readme_lists_every_parameter_with_its_default(heading, kind):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split(f"### Parameters of `{heading}`")[1].split("\n###")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    listed = {row[1].strip(" `"): yaml.safe_load(row[2].strip(" `")) for row in rows}
    assert listed == _as_yaml(kind())
    if kind is NodeParameters:
        changing = {row[1].strip(" `") for row in rows if "✓" in row[3]}
        fields = dataclasses.fields(kind)
        assert changing == {f.name for f in fields if f.metadata["change"] == "always"}


def test_parameter_file_reaches_a_node_in_any_namespace(tmp_path):
    text = (ROOT / "config" / "depthlab.yaml").read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("depth_statistic: median", "depth_statistic: p05"))
    context = rclpy.Context()
    arguments = ["--ros-args", "--params-file", str(path), "-r", "__ns:=/robot/front"]
    rclpy.init(args=arguments, context=context)
    try:
        node = DepthLabNode(load_model=lambda *_: None, context=context)
        assert node.get_fully_qualified_name() == "/robot/front/depthlab_node"
        assert node.get_parameter("depth_statistic").value == "p05"
        node.destroy_node()
    finally:
        rclpy.shutdown(context=context)


def test_rviz_shows_topics_that_exist():
    content = yaml.safe_load((ROOT / "rviz" / "depthlab.rviz").read_text(encoding="utf-8"))
    manager = content["Visualization Manager"]
    shown = {display["Topic"]["Value"]: display for display in manager["Displays"]}
    assert {topic for topic, display in shown.items() if display["Enabled"]} == {
        "/image_annotated",
        "/depth/image",
        "/points",
        "/markers",
    }
    assert shown.keys() - {f"/{topic}" for topic in OUTPUTS} == {"/image_raw"}
    for topic, display in shown.items():
        kind = Image if topic == "/image_raw" else OUTPUTS[topic.strip("/")][0]
        assert display["Class"] == f"rviz_default_plugins/{kind.__name__}"
        # Best effort connects to publishers of both kinds.
        assert display["Topic"]["Reliability Policy"] == "Best Effort"
    assert manager["Global Options"]["Fixed Frame"] == DEFAULT_FRAME_ID
