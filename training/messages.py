# SPDX-License-Identifier: Apache-2.0
"""Messages of other libraries, for a line of our own."""

from __future__ import annotations

_LONGEST = 300


def one_line(error: Exception) -> str:
    """Return the first part of an error's message, without line breaks."""
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
