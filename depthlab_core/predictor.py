# SPDX-License-Identifier: Apache-2.0
"""The model as its users see it: numpy image in, segments with class and depth out."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import torch

from depthlab_core.batching import LARGEST_BATCH, batches_of_one_size
from depthlab_core.checkpoint import Checkpoint, load_checkpoint
from depthlab_core.clock import StageClock
from depthlab_core.config import ModelConfig, PostprocessConfig
from depthlab_core.depth import focal_length_from_fov, metric_scale
from depthlab_core.device_input import DeviceInput
from depthlab_core.engine import choose_engine
from depthlab_core.gpu.interpret import GpuInterpreter
from depthlab_core.ground import fit_ground
from depthlab_core.ground_scale import GroundScaler
from depthlab_core.interpret import Interpretation
from depthlab_core.labels import LabelSet
from depthlab_core.network import ModelOutput
from depthlab_core.prediction import Prediction
from depthlab_core.preprocess import (
    ImageGeometry,
    check_image,
    image_to_tensor,
    input_geometry,
)
from depthlab_core.restore import restore
from depthlab_core.selection import drop_doubtful_things
from depthlab_core.strict_load import require, require_positive

_USUAL_SIZE = (480, 640)
"""Height and width of images to prepare for, where the model does not say."""


class _View(NamedTuple):
    """An image that has been checked, and how the network is to look at it."""

    image: npt.NDArray[np.uint8]
    geometry: ImageGeometry
    focal_length: float
    focal_length_assumed: bool


class DepthLab:
    """A loaded model.

    ``postprocess`` may be replaced at any time; it holds from the next prediction on. Threads may
    share a model; they take turns. A forked process may go on with one on the CPU, with a single
    thread of PyTorch's; any other process has to load its own.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str = "auto",
        backend: str = "auto",
        precision: str = "auto",
    ) -> None:
        """Take a checkpoint's network to a device.

        Args:
            checkpoint: From ``load_checkpoint``.
            device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
            backend: ``auto``, ``torch``, ``torch_compile``, ``openvino`` or ``onnxruntime``, see
                ``choose_engine``.
            precision: ``auto``, ``fp32`` or ``bf16``, likewise.

        Raises:
            ValueError: If the device does not exist, or a name is unknown.
        """
        self.device = choose_device(device)
        self.config: ModelConfig = checkpoint.config
        self.labels: LabelSet = checkpoint.labels
        self.provenance = checkpoint.provenance
        self.postprocess: PostprocessConfig = checkpoint.config.postprocess
        size = self.config.input.size or _USUAL_SIZE
        geometry = input_geometry(*size, self.config.input)
        self._engine = choose_engine(
            checkpoint.network,
            self.device,
            (geometry.input_height, geometry.input_width),
            backend=backend,
            precision=precision,
            lowest_precision=self.config.lowest_precision,
        )
        self._interpret = _interpret_on(self.device)
        # On a GPU an answer is only valid until the next run of the same graph.
        self._turn = threading.Lock()
        self._process = os.getpid()
        self._device_input = (
            None if self.device.type == "cpu" else DeviceInput(self.config.input, self.device)
        )

    @classmethod
    def load(
        cls,
        name_or_path: str | os.PathLike[str],
        device: str = "auto",
        backend: str = "auto",
        precision: str = "auto",
    ) -> DepthLab:
        """Load a model.

        Args:
            name_or_path: A bundled name such as ``lite0``, or the path of a checkpoint.
            device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
            backend: ``auto``, ``torch``, ``torch_compile``, ``openvino`` or ``onnxruntime``, see
                ``choose_engine``.
            precision: ``auto``, ``fp32`` or ``bf16``, likewise.

        Raises:
            CheckpointError: If the checkpoint is missing, damaged or of another format.
            ValueError: If the device does not exist, or a name is unknown.
        """
        return cls(load_checkpoint(name_or_path), device, backend, precision)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied; else it would be some library's object that did."""
        raise TypeError("a DepthLab can be neither pickled nor copied; load one in each process")

    @property
    def name(self) -> str:
        """Name of the model's configuration."""
        return self.config.name

    def warm_up(self, height: int, width: int, images: int = 1) -> None:
        """Prepare for images of one size, which the first of them would wait for otherwise.

        Args:
            height: Rows of the images.
            width: Columns of the images.
            images: How many of them may come at once.
        """
        image = np.zeros((height, width, 3), np.uint8)
        for together in range(1, min(images, LARGEST_BATCH) + 1):
            self.predict_batch([image] * together)

    def predict(
        self,
        image: npt.NDArray[np.uint8],
        focal_length: float | None = None,
        camera_height: float | None = None,
    ) -> Prediction:
        """Find every segment of an image, with its class and depth.

        Args:
            image: uint8 ``(H, W, 3)``, RGB, 32x32 or more.
            focal_length: Of the camera, in pixels of this image. Without it the field of view of
                the model's ``InputConfig.default_horizontal_fov`` is assumed, and depth is right
                but for that factor.
            camera_height: Of the camera over the ground, in metres. Depth is then scaled so that
                the ground lies there, if a plane fits it; ``Prediction.ground`` tells. For
                streams, leave it out and let a ``GroundScaler`` smooth the scale.

        Raises:
            ValueError: If the image has another type or shape, or the focal length or the camera
                height is not a positive number.
        """
        scaler = None if camera_height is None else GroundScaler(camera_height)
        [prediction] = self.predict_batch([image], [focal_length])
        if scaler is None or prediction.ground is None:
            return prediction
        return prediction.scaled_to(scaler.update(prediction.ground))

    def predict_batch(
        self,
        images: Sequence[npt.NDArray[np.uint8]],
        focal_lengths: Sequence[float | None] | None = None,
    ) -> list[Prediction]:
        """Find the segments of several images, as ``predict`` would one by one.

        Those whose network input is of the same size go through the network together, up to
        ``LARGEST_BATCH`` at once.

        Args:
            images: uint8 ``(H, W, 3)`` each, RGB, 32x32 or more, of any sizes.
            focal_lengths: Of each image's camera, as in ``predict``; all unknown if left out.

        Returns:
            One prediction per image, in their order. Its ``timings`` of preprocess and network are
            those of its whole batch.

        Raises:
            ValueError: As ``predict``, or if there is not one focal length per image.
        """
        if focal_lengths is None:
            focal_lengths = [None] * len(images)
        count, expected = len(focal_lengths), f"{len(images)}, one for each image"
        require(count == len(images), "focal_lengths", count, expected)
        views = [self._view(*pair) for pair in zip(images, focal_lengths, strict=True)]
        sizes = [(view.geometry.input_height, view.geometry.input_width) for view in views]
        predictions: dict[int, Prediction] = {}
        for batch in batches_of_one_size(sizes):
            answers = self._predict_together([views[index] for index in batch])
            predictions.update(zip(batch, answers, strict=True))
        return [predictions[index] for index in range(len(views))]

    def _view(self, image: npt.NDArray[np.uint8], focal_length: float | None) -> _View:
        image = check_image(image)
        height, width = image.shape[:2]
        if focal_length is None:
            focal = focal_length_from_fov(width, self.config.input.default_horizontal_fov)
        else:
            require_positive("focal_length", focal_length, "pixels")
            focal = float(focal_length)
        geometry = input_geometry(height, width, self.config.input)
        return _View(image, geometry, focal, focal_length is None)

    def _predict_together(self, views: list[_View]) -> list[Prediction]:
        with self._turn, torch.inference_mode():
            if os.getpid() != self._process:
                # PyTorch would wait for its threads for ever: they do not survive a fork.
                torch.set_num_threads(1)
                self._process = os.getpid()
            # Not before: the wait for other threads is no stage of this prediction.
            clock = StageClock(self.device)
            inputs = [self._to_input(view.image, view.geometry) for view in views]
            tensor = torch.cat(inputs) if len(inputs) > 1 else inputs[0]
            clock.queued("preprocess")
            output = self._engine(tensor)
            clock.queued("network")
            return [
                self._finish(
                    ModelOutput(*(part[index : index + 1] for part in output)), view, clock
                )
                for index, view in enumerate(views)
            ]

    def _finish(self, output: ModelOutput, view: _View, clock: StageClock) -> Prediction:
        geometry, focal = view.geometry, view.focal_length
        # Once, because another thread may replace it at any time.
        postprocess = self.postprocess
        if postprocess.resize == "reference" and not geometry.is_identity:
            output = restore(output, geometry.input_height, geometry.input_width)
        found = self._interpret(
            output,
            geometry.image_height,
            geometry.image_width,
            labels=self.labels,
            postprocess=postprocess,
            depth_scale=metric_scale(
                self.config.network.depth, focal_length=geometry.input_focal_length(focal)
            ),
            mask_undefined=self.config.network.depth.mask_undefined,
        )
        found = drop_doubtful_things(found, postprocess)
        clock.done("postprocess")
        ground = fit_ground(found.depth, found.semantic_map, self.labels, fx=focal)
        clock.done("ground")
        return Prediction(
            panoptic_map=found.panoptic_map,
            semantic_map=found.semantic_map,
            id_map=found.id_map,
            depth=found.depth,
            segments=found.segments,
            focal_length=focal,
            focal_length_assumed=view.focal_length_assumed,
            timings=dict(clock.laps),
            ground=ground,
        )

    def _to_input(self, image: npt.NDArray[np.uint8], geometry: ImageGeometry) -> torch.Tensor:
        if self._device_input is not None:
            return self._device_input(image, geometry)
        return image_to_tensor(
            image, geometry, self.config.input, memory_format=self._engine.memory_format
        )


def choose_device(device: str) -> torch.device:
    """Return the torch device of a name.

    Args:
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        ValueError: If there is no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    count = torch.cuda.device_count()
    known = ["cpu", *(["cuda"] if count else []), *(f"cuda:{index}" for index in range(count))]
    if device not in known:
        raise ValueError(f"device: got {device!r}, expected auto or one of {', '.join(known)}")
    return torch.device(device)


def _interpret_on(device: torch.device) -> Callable[..., Interpretation]:
    # Here, because numba takes a second to import and training needs none of it.
    from depthlab_core.cpu.interpret import compile_kernels, interpret_on_cpu
    from depthlab_core.cpu.normalise import compile_normalise
    from depthlab_core.cpu.tint import compile_tint

    # Of use on any device: images are drawn on the CPU.
    compile_tint()
    if device.type != "cpu":
        return GpuInterpreter(device)
    compile_kernels()
    compile_normalise()
    return interpret_on_cpu
