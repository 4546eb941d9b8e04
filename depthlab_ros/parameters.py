# SPDX-License-Identifier: Apache-2.0
"""The parameters of ``depthlab_node``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from depthlab_core.segments import DepthStatistic
from depthlab_ros.parameter_declaration import ParameterSet, parameter


@dataclass(frozen=True)
class NodeParameters(ParameterSet):
    """What ``depthlab_node`` can be told; each field is the ROS parameter of its name."""

    model: str = parameter(
        "lite0", "Name of a bundled model, or path of a checkpoint.", change="unconfigured"
    )
    device: str = parameter(
        "auto",
        "Where the model runs: auto (a GPU if there is one), cpu, cuda or cuda:N.",
        change="unconfigured",
    )
    autostart: bool = parameter(
        True, "Configure and activate without waiting for a lifecycle manager."
    )
    image_transport: str = parameter(
        "raw",
        "Which input to take: image_raw, or image_raw/compressed.",
        choices=("raw", "compressed"),
        change="unconfigured",
    )
    focal_length: float = parameter(
        0.0,
        "Focal length in pixels at the width of image_raw, instead of the one of camera_info; "
        "0 = use camera_info, and without it what the model assumes.",
        bounds=(0.0, 1.0e6),
        change="always",
    )
    depth_statistic: DepthStatistic = parameter(
        "median",
        "Which statistic of a segment's depth Segment.depth and the annotated image show.",
        choices=get_args(DepthStatistic),
        change="always",
    )
    lazy: bool = parameter(
        True, "Make an output only while someone subscribes to it.", change="always"
    )
    jpeg_quality: int = parameter(
        80, "Quality of image_annotated/compressed, 1 to 100.", bounds=(1, 100), change="always"
    )
    points_stride: int = parameter(
        4,
        "Pixels from one point of the cloud to the next, along rows and columns.",
        bounds=(1, 64),
        change="always",
    )
