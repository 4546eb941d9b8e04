# SPDX-License-Identifier: Apache-2.0
"""The named model configurations."""

from __future__ import annotations

from depthlab_core.config import (
    DecoderConfig,
    DepthConfig,
    InputConfig,
    ModelConfig,
    NetworkConfig,
    PostprocessConfig,
)

R52 = ModelConfig(
    name="r52",
    network=NetworkConfig(
        backbone="resnet52",
        instance=DecoderConfig(channels=128, head_channels=32),
        # The published weights were trained on crops of 512x1024 at output stride 16.
        aspp_pool_window=(32, 64),
    ),
    input=InputConfig(size=(1024, 2048), enlarge=False),
)
"""The original: 79.1 M parameters with depth, 59.8 M without (the published ones)."""

LITE0 = ModelConfig(
    name="lite0",
    network=NetworkConfig(
        backbone="tf_efficientnet_lite0",
        semantic=DecoderConfig(
            aspp_channels=128,
            channels=128,
            low_level_channels=(32, 24),
            head_channels=128,
            separable=True,
        ),
        instance=DecoderConfig(
            aspp_channels=96,
            channels=96,
            low_level_channels=(32, 24),
            head_channels=32,
            separable=True,
        ),
        depth_decoder=DecoderConfig(
            aspp_channels=96,
            channels=96,
            low_level_channels=(32, 24),
            head_channels=64,
            separable=True,
        ),
        depth=DepthConfig(output="log", canonical_focal_length=500.0, mask_undefined=True),
    ),
    # 127 and 128 are what the backbone's ImageNet weights were trained with.
    input=InputConfig(size=(384, 512), mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0)),
    postprocess=PostprocessConfig(
        center_threshold=0.3,
        nms_kernel=11,
        stuff_area=4096,
        thing_area=256,
        area_size=(1024, 2048),
        resize="direct",
    ),
    lowest_precision="bf16",
)
"""EfficientNet-Lite0 and depthwise-separable decoders: about 4 M parameters, for CPUs."""

R50_LIGHT = ModelConfig(
    name="r50_light",
    network=NetworkConfig(
        backbone="resnet52",
        semantic=DecoderConfig(separable=True),
        instance=DecoderConfig(channels=128, head_channels=32, separable=True),
        depth_decoder=DecoderConfig(channels=128, head_channels=64, separable=True),
        depth=DepthConfig(output="log", canonical_focal_length=500.0, mask_undefined=True),
    ),
    input=InputConfig(size=(512, 1024)),
    postprocess=PostprocessConfig(thing_area=256, area_size=(1024, 2048), resize="direct"),
    lowest_precision="bf16",
)
"""The original's encoder and depthwise-separable decoders: 33.2 M parameters, for GPUs."""

MODELS: dict[str, ModelConfig] = {model.name: model for model in (R52, LITE0, R50_LIGHT)}
