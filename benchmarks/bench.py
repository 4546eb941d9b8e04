# SPDX-License-Identifier: Apache-2.0
"""``make bench``: ours against the plain forms, in one run, into ``out/bench.json`` and a table.

Equality of all labels is asserted before anything is timed.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import literature
from benchmarks.clock import in_turns
from benchmarks.node_bench import bench_node
from benchmarks.scenes import street_scene
from depthlab_core import CITYSCAPES, ModelOutput, build_network
from depthlab_core.config import PostprocessConfig
from depthlab_core.cpu.bilinear import taps
from depthlab_core.cpu.interpret import interpret_on_cpu
from depthlab_core.cpu.semantics import label_pixels
from depthlab_core.engine import choose_engine
from depthlab_core.interpret import interpret
from depthlab_core.restore import restore

SIZES = ((512, 256), (1024, 512), (2048, 1024))
"""Width and height."""
CENTERS = (10, 50, 200)
_CONFIG = PostprocessConfig()


def bench_labels(width: int, height: int, rounds: int) -> dict[str, Any]:
    """Quarter-resolution logits to full-resolution labels."""
    logits = street_scene(height, width, centers=0).semantic_logits
    rows, columns = taps(height // 4, height), taps(width // 4, width)

    def eager() -> torch.Tensor:
        resized = torch.nn.functional.interpolate(logits, (height, width), mode="bilinear")
        return resized[0].argmax(dim=0)

    def ours() -> np.ndarray[Any, Any]:
        return label_pixels(logits[0].numpy(), rows, columns)[0]

    np.testing.assert_array_equal(ours(), eager().numpy())
    return in_turns({"plain": eager, "ours": ours}, rounds)


def bench_interpretation(width: int, height: int, centers: int, rounds: int) -> dict[str, Any]:
    """Network output to segments: the literature's form, the plain torch form, ours."""
    output = street_scene(height, width, centers=centers)
    options: dict[str, Any] = {
        "labels": CITYSCAPES,
        "postprocess": _CONFIG,
        "depth_scale": 1.0,
        "mask_undefined": False,
    }

    def ours() -> Any:
        return interpret_on_cpu(output, height, width, **options)

    def plain() -> Any:
        return interpret(output, height, width, **options)

    found, expected, stated = ours(), plain(), _as_stated(output, height, width)
    np.testing.assert_array_equal(found.panoptic_map, expected.panoptic_map)
    np.testing.assert_array_equal(found.panoptic_map, stated)
    return in_turns(
        {
            "literature": lambda: _as_stated(output, height, width),
            "plain": plain,
            "ours": ours,
        },
        rounds,
    )


def _as_stated(output: ModelOutput, height: int, width: int) -> np.ndarray[Any, Any]:
    output = restore(output, height, width)
    semantic_map = output.semantic_logits[0].argmax(dim=0)
    centers = literature.find_centers(
        output.center_heatmap[0, 0],
        threshold=_CONFIG.center_threshold,
        nms_kernel=_CONFIG.nms_kernel,
        top_k=_CONFIG.top_k or 0,
    )
    panoptic_map = literature.merge(
        semantic_map,
        literature.group_pixels(centers, output.offset[0]),
        thing_ids=CITYSCAPES.thing_ids,
        label_divisor=CITYSCAPES.label_divisor,
        stuff_area=_CONFIG.stuff_area,
    ).numpy()
    literature.describe(panoptic_map, output.depth[0, 0].numpy())
    return panoptic_map


def bench_network(name: str, width: int, height: int, rounds: int) -> dict[str, Any]:
    """The network by every backend, against eager torch in float32 as it was trained."""
    torch.manual_seed(0)
    network = build_network(name).eval()
    x = torch.randn(1, 3, height, width)
    rivals: dict[str, Callable[[], Any]] = {}

    @torch.inference_mode()
    def eager() -> ModelOutput:
        result: ModelOutput = network(x)
        return result

    rivals["eager fp32"] = eager
    for backend, precision in (("torch", "fp32"), ("openvino", "fp32"), ("openvino", "bf16")):
        engine = choose_engine(
            network,
            torch.device("cpu"),
            (height, width),
            backend=backend,
            precision=precision,
        )
        rivals[f"{backend} {precision}"] = lambda engine=engine: engine(x)  # type: ignore[misc]
    return in_turns(rivals, rounds)


def main() -> None:
    """Run all benchmarks that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/bench.json"))
    parser.add_argument("--rounds", type=int, default=10, help="timed runs of each rival")
    parser.add_argument(
        "--largest", type=int, default=2048, help="widest image; 0: the node alone"
    )
    parser.add_argument("--networks", nargs="*", default=["lite0", "r52"])
    parser.add_argument("--node-frames", type=int, default=100, help="frames a figure; 0: none")
    parser.add_argument("--memory-frames", type=int, default=2000, help="0: no memory over time")
    options = parser.parse_args()

    results: dict[str, Any] = {"machine": machine(), "rounds": options.rounds}
    print(json.dumps(results["machine"]))

    def record(title: str, times: dict[str, Any]) -> None:
        results[title] = times
        yardstick = next(iter(times.values()))["p50"]
        for name, t in times.items():
            print(
                f"{title:<28.28} {name:<24.24} {t['p50']:>8.1f} {t['p95']:>8.1f} "
                f"{yardstick / t['p50']:>6.1f}x",
                flush=True,
            )

    print(f"{'':<28} {'':<24} {'p50 ms':>8} {'p95 ms':>8} {'':>7}")
    for width, height in (size for size in SIZES if size[0] <= options.largest):
        size = f"{width}x{height}"
        record(f"labels {size}", bench_labels(width, height, options.rounds))
        for count in CENTERS:
            times = bench_interpretation(width, height, count, max(options.rounds // 3, 1))
            record(f"segments {size} K={count}", times)
        for name in options.networks:
            # The original takes seconds for an image.
            rounds = options.rounds if name == "lite0" else max(options.rounds // 5, 1)
            record(f"{name} {size}", bench_network(name, width, height, rounds))
    results["node"] = bench_node(options.node_frames, options.memory_frames)
    results["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"peak memory {results['peak_memory_mib']} MiB; all of it in {options.out}")


def machine() -> dict[str, Any]:
    """Describe what the figures belong to."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    fields = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    flags = set(fields.get("flags", "").split())
    return {
        "cpu": fields.get("model name", platform.machine()),
        "threads": torch.get_num_threads(),
        "bf16": sorted(flags & {"amx_bf16", "avx512_bf16"}),
        "torch": torch.__version__,
        "commit": commit.stdout.strip(),
    }


if __name__ == "__main__":
    main()
