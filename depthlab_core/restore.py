# SPDX-License-Identifier: Apache-2.0
"""Network output on another grid: values that are measured in pixels change with it."""

from __future__ import annotations

import torch

from depthlab_core.layers import resize
from depthlab_core.network import ModelOutput


def restore(output: ModelOutput, height: int, width: int) -> ModelOutput:
    """Resize predictions to ``height`` by ``width`` pixels, bilinearly.

    Offsets are in pixels of their own grid, so their values are multiplied by the resize factor,
    each axis by its own. Depth is in metres and stays.

    Args:
        output: Predictions on any grid that covers the whole image.
        height: Rows wanted.
        width: Columns wanted.

    Returns:
        The same predictions on a grid of ``height`` by ``width``.
    """
    size = (height, width)
    rows, columns = output.offset.shape[-2:]
    dy, dx = resize(output.offset, size).unbind(dim=1)
    # By plain numbers: on a GPU, the host would wait for a tensor of them to arrive.
    offset = torch.stack([dy * (height / rows), dx * (width / columns)], dim=1)
    return ModelOutput(
        semantic_logits=resize(output.semantic_logits, size),
        center_heatmap=resize(output.center_heatmap, size),
        offset=offset,
        depth=resize(output.depth, size),
    )
