# SPDX-License-Identifier: Apache-2.0
"""The last stage of a frame: tracks, the ground's scale, and the messages."""

from __future__ import annotations

import time

from depthlab_ros.camera import Camera
from depthlab_ros.conversions import stamp_to_ns
from depthlab_ros.frame import InferredFrame, Model
from depthlab_ros.outputs import Result
from depthlab_ros.segment_filter import filter_segments

# Stamps further than this from the node's clock are of another one: a bag's, or simulated.
LONGEST_LATENCY_S = 60.0


def publish(
    camera: Camera,
    inferred: InferredFrame,
    model: Model,
    *,
    categories: frozenset[int],
    camera_height: float | None,
    now_ns: int,
) -> None:
    """Follow a frame's things, publish what is wanted of it, and tell the camera's health.

    Args:
        camera: Where the frame came from.
        inferred: The frame, with the model's answer.
        model: Which gave it.
        categories: Category ids whose segments are told.
        camera_height: Of the camera over the ground, metres; None: unknown.
        now_ns: The node's time when this begins, nanoseconds.
    """
    begun, settings = time.perf_counter(), inferred.settings
    header = inferred.frame.msg.header
    stamp_ns = stamp_to_ns(header.stamp)
    # Drivers that leave their stamps at zero do not stop time.
    seen = stamp_ns / 1e9 if stamp_ns else inferred.frame.arrived
    prediction, tracks = inferred.frame.continuity.follow(
        inferred.prediction,
        seen,
        header.frame_id,
        tracking=settings.tracking,
        camera_height=camera_height,
    )
    followed = time.perf_counter()
    camera.outputs.publish(
        Result(
            header=header,
            image=inferred.image,
            prediction=filter_segments(prediction, categories, settings.min_score),
            inference_ms=inferred.timings["inference"],
            camera=inferred.camera,
            model=model.name,
            labels=model.labels,
            settings=settings,
            tracks=tracks,
        )
    )
    done = time.perf_counter()
    timings = {
        **inferred.timings,
        "handover": (begun - inferred.done) * 1e3,
        "tracking": (followed - begun) * 1e3,
        "publish": (done - followed) * 1e3,
    }
    latency_ms = (now_ns - stamp_ns) / 1e6 + (done - begun) * 1e3
    is_known = 0.0 <= latency_ms <= LONGEST_LATENCY_S * 1e3
    is_scaled = prediction.ground is not None and prediction.ground.applied
    camera.health.on_depth(
        _focal_length(inferred), is_metric=inferred.camera is not None or is_scaled
    )
    camera.health.on_published(timings, latency_ms if is_known else None)


def _focal_length(inferred: InferredFrame) -> str:
    if inferred.camera is None:
        return "assumed: no calibration"
    source = "parameter" if inferred.settings.focal_length > 0.0 else "camera_info"
    return f"{inferred.camera.focal_length:.1f} px ({source})"
