# SPDX-License-Identifier: Apache-2.0
"""Make weights by detectron2's keys fit a network: check them, add a depth branch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import torch
from torch import Tensor

from depthlab_core.config import ModelConfig
from depthlab_core.network import build_network
from training.pickled_arrays import shown

DepthInit = Literal["semantic", "fresh"]

_DEPTH = "depth_head."
_SEMANTIC = "sem_seg_head."
_COUNTER = ".num_batches_tracked"
_NAMED_AT_MOST = 20


class ConversionError(Exception):
    """The weights do not fit the network; the text names the keys."""


def has_depth_branch(state: Mapping[str, Tensor]) -> bool:
    """Say whether weights have a depth branch, whole or in part."""
    return any(key.startswith(_DEPTH) for key in state)


def complete_state(
    state: Mapping[str, Tensor],
    config: ModelConfig,
    *,
    depth_init: DepthInit,
    drop_unexpected: bool = False,
    seed: int = 0,
) -> tuple[dict[str, Tensor], list[str]]:
    """Check weights against a network and add the depth branch if they have none.

    Args:
        state: Weights by detectron2's keys, which are the network's own.
        config: Of the model that they are for.
        depth_init: Where an absent depth branch comes from: ``semantic`` copies decoder and head
            of the semantic branch, ``fresh`` draws random weights. The last layer, which has one
            output instead of one per class, is always fresh.
        drop_unexpected: Leave out what the network does not have, instead of an error.
        seed: Of the random weights.

    Returns:
        The network's whole state in its own order and types, and remarks on every difference to
        what was given.

    Raises:
        ConversionError: If weights are missing, unexpected or of another shape or kind; the text
            names them.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        expected = build_network(config.network).state_dict()
    given = dict(state)
    remarks = []
    if drop_unexpected:
        dropped = given.keys() - expected.keys()
        remarks += _named("left out", dropped)
        given = {key: value for key, value in given.items() if key not in dropped}
    if not has_depth_branch(given):
        given.update(_depth_branch(given, expected, depth_init))
        remarks.append(f"depth branch initialised ({depth_init}), not trained")
    counters = {key for key in expected.keys() - given.keys() if key.endswith(_COUNTER)}
    # How many batches a norm saw has no effect on what it computes.
    given.update({key: expected[key] for key in counters})
    remarks += _named("missing counters set to 0", counters)
    _check(given, expected, config.name)
    # Copied, because tensors that share memory cannot be saved.
    whole = {key: given[key].to(value.dtype, copy=True) for key, value in expected.items()}
    return whole, remarks


def _depth_branch(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], depth_init: DepthInit
) -> dict[str, Tensor]:
    branch = {key: value for key, value in expected.items() if key.startswith(_DEPTH)}
    if depth_init == "fresh":
        return branch
    for key, value in branch.items():
        twin = state.get(_SEMANTIC + key.removeprefix(_DEPTH))
        if twin is None or key.startswith(_DEPTH + "predictor."):
            continue
        if twin.shape != value.shape:
            raise ConversionError(
                "the depth branch has other widths than the semantic one: use --depth-init fresh"
            )
        branch[key] = twin
    return branch


def _check(given: Mapping[str, Tensor], expected: Mapping[str, Tensor], name: str) -> None:
    common = [(key, given[key], expected[key]) for key in given.keys() & expected.keys()]
    problems = [
        *_named("missing", expected.keys() - given.keys()),
        *_named("unexpected", given.keys() - expected.keys()),
        *_named(
            "wrong shape",
            [
                f"{key} (got {tuple(a.shape)}, expected {tuple(b.shape)})"
                for key, a, b in common
                if a.shape != b.shape
            ],
        ),
        *_named(
            "wrong type",
            [
                f"{key} ({a.dtype})"
                for key, a, b in common
                if a.is_floating_point() != b.is_floating_point()
            ],
        ),
    ]
    if problems:
        raise ConversionError(f"the weights do not fit {name}; {'; '.join(problems)}")


def _named(title: str, keys: Collection[str]) -> list[str]:
    if not keys:
        return []
    more = len(keys) - _NAMED_AT_MOST
    named = ", ".join(shown(key) for key in sorted(keys)[:_NAMED_AT_MOST])
    return [f"{title}: {named}" + (f" and {more} more" if more > 0 else "")]
