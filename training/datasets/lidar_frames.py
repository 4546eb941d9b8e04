# SPDX-License-Identifier: Apache-2.0
"""Real frames with sparse LiDAR depth, for validation.

One folder with ``index.json``: a list of ``{"image": FILE, "depth": FILE.npz, "K": [fx, fy, cx,
cy]}``; the npz holds ``depth``, metres along Z, 0 = no measurement.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path

import numpy as np

from training.datasets.sample import DatasetError, Sample, read_image, require_file

_NAME = "LiDAR frames"
_REMEDY = "Expected a folder with index.json, images and depth files (see this module)."


class LidarFrames:
    """Samples with depth only.

    Args:
        root: The folder.

    Raises:
        DatasetError: If its index is missing or damaged, or lists no frame.
    """

    def __init__(self, root: Path) -> None:
        self._root = Path(root)
        path = require_file(self._root / "index.json", _NAME, _REMEDY)
        try:
            self._frames = [
                (str(frame["image"]), str(frame["depth"]), float(frame["K"][0]))
                for frame in json.loads(path.read_text(encoding="utf-8"))
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"{_NAME}: {path} is damaged ({error!r}). {_REMEDY}") from error
        if not self._frames:
            raise DatasetError(f"{_NAME}: {path} lists no frame. {_REMEDY}")

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._frames)

    def __getitem__(self, index: int) -> Sample:
        """Read frame ``index``."""
        image_name, depth_name, focal_length = self._frames[index]
        image_path = require_file(self._root / image_name, _NAME, _REMEDY)
        depth_path = require_file(self._root / depth_name, _NAME, _REMEDY)
        try:
            with np.load(depth_path) as arrays:
                depth = arrays["depth"].astype(np.float32)
        except (
            EOFError,
            KeyError,
            OSError,
            TypeError,
            ValueError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            raise DatasetError(
                f"{_NAME}: {depth_path} is damaged ({error!r}). {_REMEDY}"
            ) from error
        return Sample(
            image=read_image(image_path, _NAME),
            semantic=None,
            panoptic=None,
            depth=depth,
            focal_length=focal_length,
            name=Path(image_name).stem,
            has_sparse_depth=True,
        )
