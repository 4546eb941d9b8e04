# SPDX-License-Identifier: Apache-2.0
"""Export of a checkpoint's network to ONNX and OpenVINO, checked against PyTorch.

Usage: ``python -m training.export --checkpoint lite0 --out out/export --size 768x384``. Beside
``model.onnx`` or ``model.xml`` and ``.bin`` lies ``model.json``: the model's configuration and
label set, by which inputs are normalised and outputs are read. The network's input has the fixed
shape (1, 3, height, width); its outputs are those of ``ModelOutput``, before post-processing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino
import torch
from torch import Tensor

from depthlab_core.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from depthlab_core.network import ModelOutput, PanopticDepthLab
from training.arguments import image_size, output_folder

FORMATS = ("onnx", "openvino")
TOLERANCE = 1e-3
"""Largest allowed difference, relative to the largest absolute value of the output."""

_DEFAULT_SIZE = (512, 1024)
_STEP = 32
"""``DepthLab.predict`` gives the network multiples of this; other sizes would differ from it."""
_SUFFIX = {"onnx": ".onnx", "openvino": ".xml"}


class ExportError(Exception):
    """The network cannot be exported, or the exported one answers something else."""


@dataclass(frozen=True)
class Exported:
    """An exported network.

    Attributes:
        path: Of its file.
        differences: By output: the largest difference from PyTorch, relative to the largest
            absolute value.
    """

    path: Path
    differences: dict[str, float]


def export(
    checkpoint: Checkpoint,
    folder: Path,
    size: tuple[int, int],
    formats: Sequence[str] = FORMATS,
    *,
    tolerance: float = TOLERANCE,
) -> list[Exported]:
    """Write the network in every format and check that each answers as PyTorch does.

    Args:
        checkpoint: The model.
        folder: Where ``model.*`` is written; made if it does not exist.
        size: Height and width of the network's input, multiples of 32.
        formats: ``onnx``, ``openvino``.
        tolerance: See ``TOLERANCE``.

    Raises:
        ExportError: If the size is no multiple of 32, an answer differs by more, or a package is
            missing.
    """
    if min(size) < _STEP or size[0] % _STEP or size[1] % _STEP:
        raise ExportError(f"size: got {size[0]} {size[1]}, expected multiples of {_STEP}")
    folder.mkdir(parents=True, exist_ok=True)
    network = checkpoint.network.eval()
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network(image)
    exported = []
    for name in formats:
        path = folder / f"model{_SUFFIX[name]}"
        with warnings.catch_warnings():
            # Tracing warns of branches on the shape, which is fixed here.
            warnings.simplefilter("ignore")
            (_write_onnx if name == "onnx" else _write_openvino)(network, image, path)
        differences = compare(path, image, expected)
        worst = max(differences, key=lambda output: differences[output])
        if not differences[worst] <= tolerance:
            raise ExportError(
                f"{path}: {worst} differs from PyTorch by {differences[worst]:.2g} of its largest "
                f"value, expected at most {tolerance:g}"
            )
        exported.append(Exported(path, differences))
    description = {
        "input": {"name": "image", "shape": list(image.shape)},
        "outputs": list(ModelOutput._fields),
        "config": checkpoint.config.to_dict(),
        "labels": checkpoint.labels.to_dict(),
        "provenance": checkpoint.provenance,
    }
    text = json.dumps(description, indent=1) + "\n"
    (folder / "model.json").write_text(text, encoding="utf-8")
    return exported


def compare(path: Path, image: Tensor, expected: ModelOutput) -> dict[str, float]:
    """Run an exported file with OpenVINO, which reads ONNX too, and compare its answers.

    Returns:
        By output: the largest difference, relative to the largest absolute value.
    """
    # Newer processors would compute in bfloat16 by default.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(path), "CPU", settings)
    answers = compiled({"image": image.numpy()})
    differences = {}
    for name, value in zip(ModelOutput._fields, expected, strict=True):
        reference = value.numpy()
        largest = max(float(np.abs(reference).max()), 1e-12)
        difference = np.abs(np.asarray(answers[name]) - reference).max()
        differences[name] = float(difference) / largest
    return differences


def _write_onnx(network: PanopticDepthLab, image: Tensor, path: Path) -> None:
    if importlib.util.find_spec("onnx") is None:
        raise ExportError("onnx is not installed: pip install -r requirements/training.txt")
    # The tracing exporter: the network has no branches, and the newer one needs onnxscript.
    torch.onnx.export(
        network,
        (image,),
        str(path),
        input_names=["image"],
        output_names=list(ModelOutput._fields),
        opset_version=18,
        dynamo=False,
    )


def _write_openvino(network: PanopticDepthLab, image: Tensor, path: Path) -> None:
    model = openvino.convert_model(network, example_input=image)
    model.inputs[0].get_tensor().set_names({"image"})
    for output, name in zip(model.outputs, ModelOutput._fields, strict=True):
        output.get_tensor().set_names({name})
    model.reshape({"image": list(image.shape)})
    openvino.save_model(model, str(path), compress_to_fp16=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="path, or name of a bundled model")
    parser.add_argument(
        "--out",
        type=output_folder,
        default="out/export",
        metavar="FOLDER",
        help="to write into (default: %(default)s)",
    )
    parser.add_argument(
        "--size",
        type=image_size,
        metavar="WIDTHxHEIGHT",
        help="of the network's input, pixels (default: the model's own, or 1024x512)",
    )
    parser.add_argument(
        "--format", choices=FORMATS, action="append", help="one of the two (default: both)"
    )
    options = parser.parse_args(arguments)
    try:
        checkpoint = load_checkpoint(options.checkpoint)
        given = None if options.size is None else options.size[::-1]
        size = given or checkpoint.config.input.size or _DEFAULT_SIZE
        exported = export(checkpoint, options.out, size, options.format or FORMATS)
    except (CheckpointError, ExportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for one in exported:
        figures = ", ".join(f"{name} {value:.1g}" for name, value in one.differences.items())
        print(f"wrote {one.path}; difference from PyTorch:\n  {figures}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
