# SPDX-License-Identifier: Apache-2.0
"""Ranges of configuration entries: a value that makes no sense is an error before any work."""

from __future__ import annotations

import math

from depthlab_core.strict_load import require


def require_range(
    section: str, settings: object, entries: tuple[str, ...], least: float, most: float = math.inf
) -> None:
    """Raise ``ValueError``, naming the entry, unless each lies from ``least`` to ``most``.

    Args:
        section: Path of the section in the configuration.
        settings: Its dataclass.
        entries: Names of fields that hold numbers.
        least: Smallest value that is allowed.
        most: Largest one.
    """
    expected = f"{least:g} or more" if most == math.inf else f"{least:g} to {most:g}"
    for entry in entries:
        value = getattr(settings, entry)
        require(least <= value <= most, f"{section}.{entry}", value, expected)
