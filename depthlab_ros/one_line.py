# SPDX-License-Identifier: Apache-2.0
"""Errors as users see them: one line."""

from __future__ import annotations


def one_line(error: Exception) -> str:
    """Return the text of an error without line breaks; its type's name if it has no text."""
    return " ".join(str(error).split()) or type(error).__name__
