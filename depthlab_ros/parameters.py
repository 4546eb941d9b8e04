# SPDX-License-Identifier: Apache-2.0
"""The parameters of ``depthlab_node``."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import get_args

from depthlab_core.config import PostprocessConfig
from depthlab_core.engine import Backend, Precision
from depthlab_core.segments import DepthStatistic
from depthlab_ros.parameter_declaration import ParameterError, ParameterSet, parameter

MODELS_OWN = -1
UNKNOWN_SIZE = (0, 0)
SMALLEST_SIDE = 32
_NAME = re.compile(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)


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
    backend: Backend = parameter(
        "auto",
        "What runs the network: auto (OpenVINO on a CPU, else PyTorch), torch, torch_compile, "
        "openvino or onnxruntime; one that does not work gives way to torch.",
        choices=get_args(Backend),
        change="unconfigured",
    )
    precision: Precision = parameter(
        "auto",
        "What the network computes in: auto (bf16 where the CPU multiplies it natively), fp32 or "
        "bf16.",
        choices=get_args(Precision),
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
    reliable_on_loss: bool = parameter(
        True,
        "Ask for reliable images where best effort loses them and every publisher offers them.",
        change="always",
    )
    cameras: tuple[str, ...] = parameter(
        ("",),
        "Names of the cameras that share the model; each puts its name in front of its topics "
        "(front/image_raw, front/segments). One empty name: one camera with plain topics.",
        change="unconfigured",
    )
    batch: str = parameter(
        "auto",
        "Whether frames of several cameras that wait at the same time go through the model "
        "together: auto (on a GPU), on or off.",
        choices=("auto", "on", "off"),
        change="always",
    )
    warm_up_size: tuple[int, ...] = parameter(
        UNKNOWN_SIZE,
        "Height and width of the images, in pixels, to prepare the model for in configure; the "
        "first image of another size waits until the model is ready for it. [0, 0] = unknown.",
        bounds=(0, 100_000),
        change="unconfigured",
    )
    focal_length: float = parameter(
        0.0,
        "Focal length in pixels at the width of image_raw, instead of the one of camera_info; "
        "0 = use camera_info, and without it what the model assumes.",
        bounds=(0.0, 1.0e6),
        change="always",
    )
    camera_height: float = parameter(
        0.0,
        "Height of the cameras over the ground in metres; depth is then scaled so that the ground "
        "lies there. 0 = unknown, or as TF says (ground_frame).",
        bounds=(0.0, 1000.0),
        change="always",
    )
    ground_frame: str = parameter(
        "",
        "TF frame that lies on the ground, such as base_footprint: gives the height of each "
        "camera where camera_height is 0. Empty = TF is not asked.",
        change="unconfigured",
    )
    tracking: bool = parameter(
        True,
        "Follow things over frames: track_id, closing_speed, time_to_contact.",
        change="always",
    )
    depth_statistic: DepthStatistic = parameter(
        "median",
        "Which statistic of a segment's depth Segment.depth, positions, markers and the annotated "
        "image show.",
        choices=get_args(DepthStatistic),
        change="always",
    )
    enable: bool = parameter(
        True, "Work on images; the service ~/enable sets it, too.", change="always"
    )
    max_rate: float = parameter(
        0.0,
        "Maximum rate in images per second and camera; 0 = as many as the model manages.",
        bounds=(0.0, 1000.0),
        change="always",
    )
    classes: str = parameter(
        "",
        "Publish only segments of these classes, names with commas between them; empty = all. "
        "The topics semantic, depth and points stay whole.",
        change="always",
    )
    min_score: float = parameter(
        0.0, "Minimum score of a published segment.", bounds=(0.0, 1.0), change="always"
    )
    center_threshold: float = parameter(
        float(MODELS_OWN),
        "Minimum value of the centre heatmap for a thing; -1 = the model's own.",
        bounds=(MODELS_OWN, 1.0),
        change="always",
    )
    top_k: int = parameter(
        MODELS_OWN,
        "Maximum number of things in an image; 0 = unlimited, -1 = the model's own.",
        bounds=(MODELS_OWN, 10_000),
        change="always",
    )
    stuff_area: int = parameter(
        MODELS_OWN,
        "Minimum area of a stuff class in pixels of the image as it comes; -1 = the model's own.",
        bounds=(MODELS_OWN, 100_000_000),
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

    def __post_init__(self) -> None:
        """Check the names of the cameras and the size of the images, too.

        Raises:
            ParameterError: If a value is not allowed.
        """
        super().__post_init__()
        size = self.warm_up_size
        if size != UNKNOWN_SIZE and (len(size) != 2 or min(size) < SMALLEST_SIDE):
            raise ParameterError(
                f"parameter 'warm_up_size': got {list(size)}, expected height and width of "
                f"{SMALLEST_SIDE} or more, or [0, 0]"
            )
        names = self.cameras
        if names == ("",):
            return
        if not names or len(set(names)) < len(names) or not all(map(_NAME.fullmatch, names)):
            raise ParameterError(
                f"parameter 'cameras': got {list(names)}, expected different names of letters, "
                "digits, _ and /, not beginning with a digit or /, or one empty name"
            )

    def postprocess(self, own: PostprocessConfig) -> PostprocessConfig:
        """Return the model's own post-processing with the thresholds that are given here."""
        changes: dict[str, float | int | None] = {}
        if self.center_threshold != MODELS_OWN:
            changes["center_threshold"] = self.center_threshold
        if self.top_k != MODELS_OWN:
            # As in the reference, the k-th best centre and its equals are left out.
            changes["top_k"] = self.top_k + 1 if self.top_k > 0 else None
        if self.stuff_area != MODELS_OWN:
            # The model's own holds at the size that it was chosen for, a user's at the image's.
            changes.update(stuff_area=self.stuff_area, area_size=None)
        return dataclasses.replace(own, **changes)  # type: ignore[arg-type]
