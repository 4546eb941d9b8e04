# SPDX-License-Identifier: Apache-2.0
"""Panoptic-DepthLab: one image in, every segment with its class and its distance out.

>>> from depthlab_core import DepthLab
>>> model = DepthLab.load("lite0")
>>> prediction = model.predict(image, focal_length=1200.0)
"""

from depthlab_core.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from depthlab_core.config import ModelConfig, NetworkConfig
from depthlab_core.ground import GroundFit
from depthlab_core.ground_scale import GroundScaler
from depthlab_core.labels import CITYSCAPES, VOID, Category, LabelSet
from depthlab_core.network import ModelOutput, PanopticDepthLab, build_network
from depthlab_core.overlay import draw_prediction
from depthlab_core.prediction import Prediction
from depthlab_core.predictor import DepthLab
from depthlab_core.segments import Segment
from depthlab_core.track import TrackerConfig, TrackState
from depthlab_core.tracking import Tracker

__all__ = [
    "CITYSCAPES",
    "VOID",
    "Category",
    "CheckpointError",
    "DepthLab",
    "GroundFit",
    "GroundScaler",
    "LabelSet",
    "ModelConfig",
    "ModelOutput",
    "NetworkConfig",
    "PanopticDepthLab",
    "Prediction",
    "Segment",
    "TrackState",
    "Tracker",
    "TrackerConfig",
    "build_network",
    "draw_prediction",
    "load_checkpoint",
    "save_checkpoint",
]
