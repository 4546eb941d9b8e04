# SPDX-License-Identifier: Apache-2.0
"""``make bench``: ours against the plain forms, in one run, into ``out/bench.json`` and a table.

Equality of all labels is asserted before anything is timed. Where there is a GPU, rows that begin
with "gpu" follow. Without ROS: ``python -m benchmarks.bench --no-node``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import stages
from benchmarks.clock import in_turns
from benchmarks.gpu import bench_gpu
from benchmarks.machine import machine
from depthlab_core import ModelOutput, build_network
from depthlab_core.engine import choose_engine

SIZES = ((512, 256), (1024, 512), (2048, 1024))
"""Width and height."""
CENTERS = (10, 50, 200)
_TIMES = ("min", "p50", "p95")


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
    engines = [("torch", "fp32")]
    if importlib.util.find_spec("openvino") is not None:
        engines += [("openvino", "fp32"), ("openvino", "bf16")]
    for backend, precision in engines:
        engine = choose_engine(
            network,
            torch.device("cpu"),
            (height, width),
            backend=backend,
            precision=precision,
        )
        rivals[f"{backend} {precision}"] = lambda engine=engine: engine(x)  # type: ignore[misc]
    return in_turns(rivals, rounds)


def bench_cpu(
    networks: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    rounds: int,
    record: Callable[[str, stages.Times], None],
) -> None:
    """All that is done to an image, on the CPU.

    Args:
        networks: Names of models.
        sizes: Width and height of images.
        rounds: Timed runs of each rival.
        record: Takes the title and the times of each comparison.
    """
    for width, height in sizes:
        size = f"{width}x{height}"
        record(f"input {size}", stages.bench_input(width, height, rounds))
        record(f"labels {size}", stages.bench_labels(width, height, rounds))
        record(f"overlay {size}", stages.bench_overlay(width, height, rounds))
        for count in CENTERS:
            few = max(rounds // 3, 1)
            for stage, bench in (
                ("centres", stages.bench_centers),
                ("grouping", stages.bench_grouping),
                ("segments", stages.bench_interpretation),
            ):
                record(f"{stage} {size} K={count}", bench(width, height, count, few))
        for name in networks:
            # The original takes seconds for an image.
            runs = rounds if name == "lite0" else max(rounds // 5, 1)
            record(f"{name} {size}", bench_network(name, width, height, runs))


def main() -> None:
    """Run all benchmarks that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/bench.json"),
        metavar="FILE",
        help="all figures, as JSON (default: %(default)s)",
    )
    parser.add_argument(
        "--rounds", type=int, default=10, help="timed runs of each rival (default: %(default)s)"
    )
    parser.add_argument(
        "--largest",
        type=int,
        default=2048,
        metavar="WIDTH",
        help="of images, pixels; 0: only the node (default: %(default)s)",
    )
    parser.add_argument(
        "--networks",
        nargs="*",
        default=["lite0", "r52"],
        help="models to time; without a name none (default: lite0 r52)",
    )
    parser.add_argument(
        "--node-frames",
        type=int,
        default=100,
        metavar="FRAMES",
        help="to time the node by, each figure; 0: do not (default: %(default)s)",
    )
    parser.add_argument(
        "--memory-frames",
        type=int,
        default=2000,
        metavar="FRAMES",
        help="to watch the node's memory over; 0: do not (default: %(default)s)",
    )
    parser.add_argument("--no-node", action="store_true", help="leave out what needs ROS")
    parser.add_argument(
        "--no-cpu", action="store_true", help="leave out stages and networks on the CPU"
    )
    options = parser.parse_args()

    results: dict[str, Any] = {"machine": machine(), "rounds": options.rounds}
    for name, value in results["machine"].items():
        print(f"{name:<8}{value if isinstance(value, (str, int)) else ' '.join(value)}".rstrip())
    print()

    def record(title: str, times: stages.Times) -> None:
        results[title] = times
        yardstick = next(iter(times.values()))["p50"]
        for name, t in times.items():
            more = "  ".join(f"{key} {value:g}" for key, value in t.items() if key not in _TIMES)
            print(
                f"{title:<28.28} {name:<24.24} {t['p50']:>8.1f} {t['p95']:>8.1f} "
                f"{yardstick / t['p50']:>6.1f}x  {more}".rstrip(),
                flush=True,
            )

    print(f"{'':<28} {'':<24} {'p50 ms':>8} {'p95 ms':>8} {'':>7}")
    sizes = [size for size in SIZES if size[0] <= options.largest]
    if not options.no_cpu:
        bench_cpu(options.networks, sizes, options.rounds, record)
    if torch.cuda.is_available() and sizes:
        gpu = torch.device("cuda")
        results["gpu"] = bench_gpu(options.networks, sizes, CENTERS, options.rounds, record, gpu)
    if not options.no_node:
        # Here, because it needs ROS.
        from benchmarks.node_bench import bench_node

        results["node"] = bench_node(options.node_frames, options.memory_frames)
    results["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"peak memory {results['peak_memory_mib']} MiB; all of it in {options.out}")


if __name__ == "__main__":
    main()
