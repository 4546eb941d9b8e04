# SPDX-License-Identifier: Apache-2.0
"""Make the checkpoint that ships with the package out of a training run.

Usage: ``python -m training.bundle --run out/training/streets_lite0 --name lite0``. It takes the
run's averaged weights in float16 and the settings for inference that the model has by its name, so
that thresholds chosen after training need no new run.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

import torch
from torch import Tensor

from depthlab_core.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from depthlab_core.config import NetworkConfig
from depthlab_core.labels import CITYSCAPES
from depthlab_core.model_zoo import MODELS
from depthlab_core.strict_load import dataclass_from_dict
from training.arguments import fraction, output_folder
from training.class_bias import CLASS_BIAS, undo_loss_weights
from training.run_state import FILE_NAME, RunStateError, load_run_state

_WEIGHTS = Path(__file__).parents[1] / "depthlab_core" / "weights"


def bundle(
    run: Path,
    name: str,
    folder: Path,
    note: str,
    earlier: tuple[str, float] | None = None,
    undo_weights: float = 0.0,
) -> Path:
    """Write ``NAME.safetensors`` in ``folder`` from the state of a run.

    Args:
        run: Output folder of ``training.train``.
        name: A model's name; its network must be the run's.
        folder: Where to.
        note: Free text for the provenance.
        earlier: Checkpoint that the run started from, and its share in the mean of both weights;
            that keeps more of what it knew of other data (Wortsman et al., CVPR 2022).
        undo_weights: Share of the loss's class weights that ``undo_loss_weights`` takes back.

    Raises:
        CheckpointError: If the earlier checkpoint cannot be read.
        RunStateError: If there is no state, it is damaged or of another network.
        ValueError: If a weight is too large for float16.
    """
    path = run / FILE_NAME
    if not path.is_file():
        raise RunStateError(f"run: got {run}, expected a folder with {FILE_NAME}")
    state = load_run_state(path, torch.device("cpu"))
    model = MODELS[name]
    trained = dataclass_from_dict(NetworkConfig, state["config"]["model"]["network"], "network")
    if trained != model.network:
        raise RunStateError(f"{path}: trained another network than {name}'s")
    weights = state["network"] if state["ema"] is None else state["ema"]
    mixed_in = None
    if earlier is not None:
        other = load_checkpoint(earlier[0])
        if other.config.network != model.network:
            raise RunStateError(f"{earlier[0]}: got another network than {name}'s")
        weights = _mean(weights, other.network.state_dict(), earlier[1])
        mixed_in = {"share": earlier[1], "provenance": other.provenance}
    if undo_weights:
        change = undo_loss_weights(state["config"]["targets"], undo_weights)
        weights = {**weights, CLASS_BIAS: weights[CLASS_BIAS] + change}
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.safetensors"
    provenance = {
        "source": "training.train",
        "steps": int(state["step"]),
        "batch_size": state["config"]["loop"]["batch_size"],
        "datasets": sorted(
            key for key, entry in state["config"]["datasets"].items() if entry["weight"] > 0
        ),
        "date": datetime.now(timezone.utc).date().isoformat(),
        "commit": _commit(),
        "torch": torch.__version__,
        "undone_loss_weights": undo_weights,
        "earlier": mixed_in,
        "note": note,
    }
    save_checkpoint(
        target, weights, dataclasses.replace(model, name=name), CITYSCAPES, provenance, half=True
    )
    return target


def _mean(
    weights: Mapping[str, Tensor], others: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    return {
        key: value.lerp(others[key].to(value.dtype), share) if value.is_floating_point() else value
        for key, value in weights.items()
    }


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.strip() or "unknown"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.bundle", description=__doc__)
    parser.add_argument(
        "--run",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="what training.train wrote into (output)",
    )
    parser.add_argument(
        "--name",
        choices=sorted(MODELS),
        required=True,
        help="of the model; NAME.safetensors is written",
    )
    parser.add_argument(
        "--out",
        type=output_folder,
        default=_WEIGHTS,
        metavar="FOLDER",
        help="to write into (default: depthlab_core/weights, where it replaces what ships)",
    )
    parser.add_argument("--note", default="", help="text for the provenance (default: none)")
    parser.add_argument(
        "--earlier",
        metavar="CHECKPOINT",
        help="average its weights with the run's (default: the run's alone)",
    )
    parser.add_argument(
        "--share",
        type=fraction,
        default=0.25,
        help="of the earlier weights in that average (default: %(default)s)",
    )
    parser.add_argument(
        "--undo-weights",
        type=fraction,
        default=0.0,
        metavar="SHARE",
        help="of the loss's class weights, to take back from the logits (default: 0)",
    )
    options = parser.parse_args(arguments)
    earlier = None if options.earlier is None else (options.earlier, options.share)
    try:
        target = bundle(
            options.run, options.name, options.out, options.note, earlier, options.undo_weights
        )
    except (CheckpointError, RunStateError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
