# SPDX-License-Identifier: Apache-2.0
"""Network output on another grid: values that are measured in pixels change with it."""

from __future__ import annotations

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
    factor = output.offset.new_tensor([height / rows, width / columns]).view(1, 2, 1, 1)
    return ModelOutput(
        semantic_logits=resize(output.semantic_logits, size),
        center_heatmap=resize(output.center_heatmap, size),
        offset=resize(output.offset, size) * factor,
        depth=resize(output.depth, size),
    )
