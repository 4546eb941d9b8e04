# SPDX-License-Identifier: Apache-2.0
"""Every stage around the network against its plain form; answers are compared first.

Each function returns times as ``in_turns`` does, the yardstick first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks import literature
from benchmarks.clock import in_turns
from benchmarks.scenes import street_scene
from depthlab_core import CITYSCAPES, ModelOutput, Prediction, Segment, draw_prediction
from depthlab_core.config import InputConfig, PostprocessConfig
from depthlab_core.cpu.bilinear import resize_plane, taps
from depthlab_core.cpu.centers import find_instance_centers_on_cpu
from depthlab_core.cpu.interpret import find_segments, interpret_on_cpu
from depthlab_core.cpu.semantics import label_pixels
from depthlab_core.interpret import Interpretation, interpret
from depthlab_core.preprocess import image_to_tensor, input_geometry
from depthlab_core.restore import restore

Times = dict[str, dict[str, float]]
_Stated = tuple[npt.NDArray[np.int64], dict[int, literature.Description]]

CONFIG = PostprocessConfig()
OPTIONS: dict[str, Any] = {
    "labels": CITYSCAPES,
    "postprocess": CONFIG,
    "depth_scale": 1.0,
    "mask_undefined": False,
}
_OVERLAY_CENTERS = 29


def bench_input(width: int, height: int, rounds: int) -> Times:
    """Image to normalised tensor, without a resize."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    config = InputConfig()
    geometry = input_geometry(height, width, config)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (config.mean, config.std))

    def plain() -> torch.Tensor:
        pixels = torch.from_numpy(image).permute(2, 0, 1).to(torch.float32)
        return ((pixels - mean) / std).contiguous().unsqueeze(0)

    def ours() -> torch.Tensor:
        return image_to_tensor(image, geometry, config, memory_format=torch.contiguous_format)

    torch.testing.assert_close(ours(), plain(), rtol=0, atol=0)
    return in_turns({"plain": plain, "ours": ours}, rounds)


def bench_labels(width: int, height: int, rounds: int) -> Times:
    """Quarter-resolution logits to full-resolution labels; ours gives probabilities with them."""
    logits = street_scene(height, width, centers=0).semantic_logits
    rows, columns = taps(height // 4, height), taps(width // 4, width)

    def eager() -> torch.Tensor:
        resized = torch.nn.functional.interpolate(logits, (height, width), mode="bilinear")
        return resized[0].argmax(dim=0)

    def ours() -> npt.NDArray[np.uint8]:
        return label_pixels(logits[0].numpy(), rows, columns)[0]

    np.testing.assert_array_equal(ours(), eager().numpy())
    return in_turns({"plain": eager, "ours": ours}, rounds)


def bench_centers(width: int, height: int, centers: int, rounds: int) -> Times:
    """Maxima of the full-resolution heatmap."""
    heatmap = restore(street_scene(height, width, centers=centers), height, width)[1][0, 0]
    array = heatmap.numpy()

    def stated() -> torch.Tensor:
        return _find_centers(heatmap)

    def ours() -> npt.NDArray[np.int64]:
        return find_instance_centers_on_cpu(
            array,
            threshold=CONFIG.center_threshold,
            nms_kernel=CONFIG.nms_kernel,
            top_k=CONFIG.top_k,
        )

    np.testing.assert_array_equal(ours(), stated().numpy())
    return in_turns({"literature": stated, "ours": ours}, rounds)


def bench_grouping(width: int, height: int, centers: int, rounds: int) -> Times:
    """Grouping, merge and segment statistics, without labels, centres and the resize of depth.

    Ours resizes the offsets and gives scores, too; the literature's form gets offsets of full
    resolution and gives no scores.
    """
    output = street_scene(height, width, centers=centers)
    full = restore(output, height, width)
    semantic = full.semantic_logits[0].argmax(dim=0)
    points = _find_centers(full.center_heatmap[0, 0])
    rows, columns = taps(height // 4, height), taps(width // 4, width)
    logits, offset = output.semantic_logits[0].numpy(), output.offset[0].numpy()
    labels, probability = label_pixels(logits, rows, columns)
    heatmap = resize_plane(output.center_heatmap[0, 0].numpy(), rows, columns)
    depth = full.depth[0, 0].numpy()

    def stated() -> _Stated:
        return _group_merge_describe(semantic, points, full, literature.group_pixels)

    def by_center() -> _Stated:
        return _group_merge_describe(semantic, points, full, literature.group_pixels_by_center)

    def ours() -> Interpretation:
        return find_segments(
            logits,
            offset,
            rows,
            columns,
            labels,
            probability,
            heatmap,
            points.contiguous().numpy(),
            depth,
            labels=CITYSCAPES,
            stuff_area=CONFIG.stuff_area,
            mask_undefined=False,
        )

    _assert_same(ours(), *stated())
    _assert_same(ours(), *by_center())
    return in_turns({"literature": stated, "by centre": by_center, "ours": ours}, rounds)


def bench_interpretation(width: int, height: int, centers: int, rounds: int) -> Times:
    """Network output to segments: the literature's form by centre, the plain torch form, ours."""
    output = street_scene(height, width, centers=centers)

    def by_center() -> _Stated:
        full = restore(output, height, width)
        semantic = full.semantic_logits[0].argmax(dim=0)
        points = _find_centers(full.center_heatmap[0, 0])
        return _group_merge_describe(semantic, points, full, literature.group_pixels_by_center)

    def plain() -> Interpretation:
        return interpret(output, height, width, **OPTIONS)

    def ours() -> Interpretation:
        return interpret_on_cpu(output, height, width, **OPTIONS)

    found = ours()
    np.testing.assert_array_equal(found.panoptic_map, plain().panoptic_map)
    _assert_same(found, *by_center())
    return in_turns({"by centre": by_center, "plain": plain, "ours": ours}, rounds)


def bench_overlay(width: int, height: int, rounds: int) -> Times:
    """The annotated image; ours writes tags, too."""
    output = street_scene(height, width, centers=_OVERLAY_CENTERS)
    found = interpret_on_cpu(output, height, width, **OPTIONS)
    prediction = Prediction(
        panoptic_map=found.panoptic_map,
        semantic_map=found.semantic_map,
        id_map=found.id_map,
        depth=found.depth,
        segments=found.segments,
        focal_length=1000.0,
        focal_length_assumed=True,
        timings={},
    )
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    colors = {segment.id: _color(segment) for segment in found.segments}

    def stated() -> npt.NDArray[np.uint8]:
        return literature.draw(image, found.id_map, colors, opacity=0.5)

    def ours() -> npt.NDArray[np.uint8]:
        return draw_prediction(image, prediction, CITYSCAPES)

    return in_turns({"plain": stated, "ours": ours}, rounds)


def _find_centers(heatmap: torch.Tensor) -> torch.Tensor:
    return literature.find_centers(
        heatmap,
        threshold=CONFIG.center_threshold,
        nms_kernel=CONFIG.nms_kernel,
        top_k=CONFIG.top_k or 0,
    )


def _group_merge_describe(
    semantic: torch.Tensor,
    centers: torch.Tensor,
    full: ModelOutput,
    group_pixels: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> _Stated:
    panoptic_map = literature.merge(
        semantic,
        group_pixels(centers, full.offset[0]),
        thing_ids=CITYSCAPES.thing_ids,
        label_divisor=CITYSCAPES.label_divisor,
        stuff_area=CONFIG.stuff_area,
    ).numpy()
    return panoptic_map, literature.describe(panoptic_map, full.depth[0, 0].numpy())


def _assert_same(
    ours: Interpretation,
    panoptic_map: npt.NDArray[np.int64],
    described: dict[int, literature.Description],
) -> None:
    np.testing.assert_array_equal(ours.panoptic_map, panoptic_map)
    assert [segment.panoptic_id for segment in ours.segments] == sorted(described)
    for segment in ours.segments:
        stated = described[segment.panoptic_id]
        assert (segment.area, segment.bbox) == (stated.area, stated.box)
        got = (
            *segment.centroid,
            segment.depth_mean,
            segment.depth_std,
            segment.depth_p05,
            segment.depth_median,
            segment.depth_p95,
            segment.depth_valid_ratio,
        )
        expected = (
            *stated.centroid,
            stated.mean,
            stated.std,
            *stated.quantiles,
            stated.valid_ratio,
        )
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def _color(segment: Segment) -> tuple[int, int, int]:
    return CITYSCAPES.categories[segment.category_id].color
