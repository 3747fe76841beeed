"""Limits for reading responses."""

from __future__ import annotations

from typing import NamedTuple


class ReadingLimits(NamedTuple):
    """Limits for reading responses."""

    response_bytes: int | None
    """The longest body; None = any."""
    kept_body_bytes: int
    """Bytes of a body that `raw` stores, for samples."""
