# SPDX-License-Identifier: Apache-2.0
"""What the core says by Python's logging, said by the node."""

from __future__ import annotations

import logging
from typing import Any

CORE = "depthlab_core"


class CoreLog(logging.Handler):
    """Passes on which backend was chosen and why, and for which size it compiles the network.

    Args:
        logger: A ROS logger.
    """

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.INFO)
        self._logger = logger
        self._core = logging.getLogger(CORE)
        self._core.addHandler(self)
        self._core.setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        """Say one line."""
        if record.levelno >= logging.WARNING:
            self._logger.warning(record.getMessage())
        else:
            self._logger.info(record.getMessage())

    def close(self) -> None:
        """Leave the core to itself."""
        self._core.removeHandler(self)
        super().close()
