# SPDX-License-Identifier: Apache-2.0
"""Parameters that are out of range or come too late, and processes that end at a mistake."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from depthlab_ros.node import DepthLabNode
from depthlab_ros.parameter_declaration import ParameterError

OUT_OF_RANGE = pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("focal_length", -1.0, "parameter 'focal_length': got -1.0, expected a number from 0"),
        ("depth_statistic", "max", "got 'max', expected one of mean, median, p05, p95"),
        ("lazy", "yes", "parameter 'lazy': got 'yes', expected true or false"),
        ("image_transport", "theora", "got 'theora', expected one of raw, compressed"),
    ],
)


@OUT_OF_RANGE
def test_parameter_out_of_range_at_the_start(ros, stub, name, value, text):
    with pytest.raises(ParameterError) as error:
        ros.node(stub, start=False, **{name: value})
    assert text in str(error.value)
    assert "\n" not in str(error.value)


@OUT_OF_RANGE
def test_parameter_out_of_range_at_runtime(ros, stub, parameter_overrides, name, value, text):
    node = ros.node(stub, start=False)
    [result] = node.set_parameters(parameter_overrides(**{name: value}))
    assert not result.successful
    assert result.reason


def test_what_may_not_change_is_refused_with_a_reason(ros, stub, parameter_overrides):
    node = ros.node(stub)
    [model] = node.set_parameters(parameter_overrides(model="other"))
    assert not model.successful
    assert "'model' can change only while the node is unconfigured" in model.reason
    [autostart] = node.set_parameters(parameter_overrides(autostart=False))
    assert not autostart.successful
    assert "read-only" in autostart.reason
    assert node.get_parameter("model").value == "lite0"


def test_backend_and_precision_reach_the_engine(ros, capfd, parameter_overrides):
    chosen = parameter_overrides(backend="torch", precision="bf16")
    node = ros.spin(DepthLabNode, parameter_overrides=chosen)
    node.start()
    assert ros.state() == "active"
    [line] = [line for line in capfd.readouterr().err.splitlines() if "network runs by" in line]
    assert line.endswith("network runs by torch bf16 on cpu (as asked for)")
    [refused] = node.set_parameters(parameter_overrides(backend="openvino"))
    assert "'backend' can change only while the node is unconfigured" in refused.reason


def test_home_folder_in_the_path_of_a_model(ros, stub, monkeypatch, parameter_overrides):
    monkeypatch.setenv("HOME", "/home/robot")
    asked = []

    def load(name_or_path, *_):
        asked.append(name_or_path)
        return stub

    chosen = parameter_overrides(model="~/street.safetensors")
    ros.spin(DepthLabNode, load_model=load, parameter_overrides=chosen).start()
    assert asked == ["/home/robot/street.safetensors"]


def test_process_says_one_line_about_a_missing_checkpoint_and_ends_cleanly(tmp_path):
    path = tmp_path / "missing.safetensors"
    command = [sys.executable, "-m", "depthlab_ros.node", "--ros-args", "-p", f"model:={path}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    first = process.stderr.readline()
    assert "configure failed" in first
    assert str(path) in first
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=300)
    assert rest == ""
    assert process.returncode == 0


def test_process_ends_with_one_line_at_a_bad_parameter():
    command = [sys.executable, "-m", "depthlab_ros.node", "--ros-args", "-p", "focal_length:=-3.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "error: parameter 'focal_length': got -3.0, expected a number from 0 to 1e+06\n"
    )
