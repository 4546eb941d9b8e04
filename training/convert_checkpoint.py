# SPDX-License-Identifier: Apache-2.0
"""Convert published Panoptic-DeepLab weights to a checkpoint of this project, and back.

Usage: ``python -m training.convert_checkpoint model_final_bd324a.pkl r52.safetensors``, and with
``--export``: ``python -m training.convert_checkpoint --export r52.safetensors r52.pkl``.
Nothing in the file is executed, and detectron2 is not needed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from depthlab_core.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from depthlab_core.config import ModelConfig
from depthlab_core.labels import CITYSCAPES
from depthlab_core.model_zoo import MODELS
from training.complete_state import (
    ConversionError,
    DepthInit,
    complete_state,
    has_depth_branch,
)
from training.foreign_checkpoint import (
    SUFFIXES,
    ForeignCheckpointError,
    read_foreign_checkpoint,
    write_foreign_checkpoint,
)


def convert(
    source: Path,
    target: Path,
    *,
    model: str = "r52",
    depth_init: DepthInit = "semantic",
    drop_unexpected: bool = False,
) -> list[str]:
    """Write a checkpoint of this project from a pickle of arrays or a torch file.

    Returns:
        Remarks on every difference between the two.

    Raises:
        ForeignCheckpointError, ConversionError: If the file is not what it should be.
    """
    if target.suffix in SUFFIXES:
        raise ConversionError(f"{target}: expected a name that ends with .safetensors")
    if source.suffix == ".safetensors":
        raise ConversionError(f"{source}: is a checkpoint already; --export converts it back")
    foreign = read_foreign_checkpoint(source)
    try:
        config, weights = _split_normalisation(MODELS[model], foreign.state)
        state, remarks = complete_state(
            weights, config, depth_init=depth_init, drop_unexpected=drop_unexpected
        )
    except ConversionError as error:
        raise ConversionError(f"{source}: {error}") from error
    provenance = {
        "converted_by": "training.convert_checkpoint",
        "source": source.name,
        "source_sha256": foreign.sha256,
        "source_author": foreign.author,
        "depth_branch": (
            "from the source" if has_depth_branch(weights) else f"{depth_init}, not trained"
        ),
        "remarks": remarks,
    }
    try:
        save_checkpoint(target, state, config, CITYSCAPES, provenance)
    except (OSError, SafetensorError) as error:
        raise ConversionError(f"{target}: {error}") from error
    return remarks


def export(source: Path, target: Path) -> None:
    """Write a checkpoint's weights, float32, as a pickle of arrays or a torch file.

    Raises:
        CheckpointError, ForeignCheckpointError: If a file cannot be read or written.
    """
    write_foreign_checkpoint(target, load_checkpoint(source).network.state_dict())


def _split_normalisation(
    config: ModelConfig, state: Mapping[str, Tensor]
) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Move mean and deviation, which detectron2 once kept among the weights, to where ours are."""
    weights = dict(state)
    values: dict[str, Any] = {}
    for key, name in (("pixel_mean", "mean"), ("pixel_std", "std")):
        if key in weights:
            value = weights.pop(key)
            if value.numel() != 3:
                raise ConversionError(f"{key}: got {value.numel()} values, expected 3")
            # float32 makes 123.67500305 of 123.675.
            values[name] = tuple(round(float(channel), 4) for channel in value.flatten())
    try:
        return replace(config, input=replace(config.input, **values)), weights
    except ValueError as error:
        raise ConversionError(f"pixel_mean, pixel_std: {error}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m training.convert_checkpoint",
        description="Convert published Panoptic-DeepLab weights to a checkpoint, or back.",
    )
    parser.add_argument("source", type=Path, help=".pkl or .pth; with --export .safetensors")
    parser.add_argument("target", type=Path, help=".safetensors; with --export .pkl or .pth")
    parser.add_argument("--export", action="store_true", help="convert a checkpoint back")
    parser.add_argument(
        "--depth-init",
        choices=("semantic", "fresh"),
        default="semantic",
        help="where a depth branch that the source lacks comes from (default: %(default)s)",
    )
    parser.add_argument(
        "--drop-unexpected",
        action="store_true",
        help="leave out weights that the network does not have, instead of refusing them",
    )
    parser.add_argument(
        "--model",
        choices=sorted(MODELS),
        default="r52",
        help="whose weights these are (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    try:
        if options.export:
            export(options.source, options.target)
        else:
            for remark in convert(
                options.source,
                options.target,
                model=options.model,
                depth_init=options.depth_init,
                drop_unexpected=options.drop_unexpected,
            ):
                print(f"note: {remark}")
    except (CheckpointError, ConversionError, ForeignCheckpointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {options.target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
