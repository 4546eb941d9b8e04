# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: one safetensors file with weights, configuration, label set and provenance."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from depthlab_core.config import ModelConfig
from depthlab_core.labels import LabelSet
from depthlab_core.network import PanopticDepthLab, build_network
from depthlab_core.strict_load import require

_FORMAT = "depthlab-1"
_BUNDLED = Path(__file__).parent / "weights"
_NAMED_AT_MOST = 5


class CheckpointError(Exception):
    """A checkpoint is missing, damaged or not what it should be; the text says which."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained model.

    Attributes:
        network: With its weights, float32, on the CPU, in evaluation mode.
        config: How it was built and how it is used.
        labels: What it predicts.
        provenance: Where the weights come from: data, steps, commit and the like, as JSON values.
    """

    network: PanopticDepthLab
    config: ModelConfig
    labels: LabelSet
    provenance: dict[str, Any]


def save_checkpoint(
    path: str | os.PathLike[str],
    state: Mapping[str, Tensor],
    config: ModelConfig,
    labels: LabelSet,
    provenance: Mapping[str, Any],
    *,
    half: bool = False,
) -> None:
    """Write a checkpoint, replacing an older one in one step.

    Args:
        path: Of the file, by custom ``*.safetensors``.
        state: The network's state dict.
        config: The model's configuration.
        labels: Its label set.
        provenance: JSON-compatible facts on the origin of the weights.
        half: Store float16, half the size; inference computes in float32 all the same.

    Raises:
        ValueError: If a value has no float16.
    """
    path = Path(path)
    tensors = {
        key: (_to_half(key, value) if half and value.is_floating_point() else value)
        .detach()
        .cpu()
        .contiguous()
        for key, value in state.items()
    }
    metadata = {
        "format": _FORMAT,
        "model": json.dumps(config.to_dict()),
        "labels": json.dumps(labels.to_dict()),
        "provenance": json.dumps(dict(provenance)),
    }
    partial = path.with_name(path.name + ".partial")
    # Not save_file, whose files only their owner may read.
    partial.write_bytes(save(tensors, metadata))
    partial.replace(path)


def _to_half(key: str, value: Tensor) -> Tensor:
    halved = value.half()
    # Variances of batch norms may lie beyond; as infinite ones they would silence their channels.
    require(
        bool((halved.isfinite() == value.isfinite()).all()),
        key,
        float(value.abs().max()),
        f"values up to {torch.finfo(torch.float16).max:g}, the largest float16",
    )
    return halved


def bundled_checkpoints() -> list[str]:
    """Return the names of the checkpoints that ship with the package."""
    return sorted(path.stem for path in _BUNDLED.glob("*.safetensors"))


def find_checkpoint(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the file of a bundled name or path.

    Raises:
        CheckpointError: If there is no such file.
    """
    bundled = _BUNDLED / f"{os.fspath(name_or_path)}.safetensors"
    for path in (bundled, Path(name_or_path)):
        # Path.is_file would raise for a name that is too long, and where it may not look.
        if os.path.isfile(path):
            return path
    raise CheckpointError(
        f"model: got {os.fspath(name_or_path)!r}, expected a checkpoint file or a bundled name "
        f"({', '.join(bundled_checkpoints()) or 'none here'})"
    )


def load_checkpoint(name_or_path: str | os.PathLike[str]) -> Checkpoint:
    """Load a checkpoint.

    Args:
        name_or_path: A bundled name such as ``lite0``, or a path.

    Raises:
        CheckpointError: If the file is missing, damaged, of another format, or if its tensors do
            not fit the network that its configuration describes or are not finite.
    """
    path = find_checkpoint(name_or_path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a readable safetensors file: {error}") from error
    if metadata.get("format") != _FORMAT:
        raise CheckpointError(
            f"{path}: got format {metadata.get('format')!r}, expected {_FORMAT!r}; "
            "convert other layouts with training.convert_checkpoint"
        )
    try:
        config = ModelConfig.from_dict(json.loads(metadata["model"]))
        labels = LabelSet.from_dict(json.loads(metadata["labels"]))
        provenance = dict(json.loads(metadata["provenance"]))
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged metadata: {error}") from error
    if len(labels) != config.network.num_classes:
        raise CheckpointError(
            f"{path}: got {len(labels)} labels for {config.network.num_classes} classes"
        )
    try:
        # Without memory: the configuration may ask for more of it than there is.
        with torch.device("meta"):
            network = build_network(config.network)
    except (RuntimeError, TypeError) as error:
        raise CheckpointError(f"{path}: got sizes that no network can have") from error
    _load_state(network, state, path)
    return Checkpoint(network.eval(), config, labels, provenance)


def _load_state(network: PanopticDepthLab, state: dict[str, Tensor], path: Path) -> None:
    expected = network.state_dict()
    common = expected.keys() & state.keys()
    problems = []
    for title, keys in (
        ("missing", expected.keys() - state.keys()),
        ("unexpected", state.keys() - expected.keys()),
        ("wrong shape", {k for k in common if expected[k].shape != state[k].shape}),
        ("not finite", {k for k in common if not state[k].isfinite().all()}),
    ):
        if keys:
            some = ", ".join(sorted(keys)[:_NAMED_AT_MOST])
            more = len(keys) - _NAMED_AT_MOST
            problems.append(f"{title}: {some}" + (f" and {more} more" if more > 0 else ""))
    if problems:
        raise CheckpointError(f"{path}: tensors do not fit the network; {'; '.join(problems)}")
    # Copies, because what safetensors gives lies in the file, which may be written to.
    own = {k: state[k].to(v.dtype, copy=True) for k, v in expected.items()}
    network.load_state_dict(own, assign=True)
