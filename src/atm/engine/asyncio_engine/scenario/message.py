"""Failure messages of checks and extracts (identical in both engines, so failures group)."""

from __future__ import annotations


def failed_check(name: str, text: str) -> str:
    """Return the message of a response that fails a check, whose condition was written as `text`."""
    return f"check failed: {text}" if name == text else f'check "{name}" failed: {text}'


def nothing_to_extract(variable: str, text: str) -> str:
    """Return the message of a response that has no value for a variable, whose subject was written as `text`."""
    return f"nothing to extract for {variable}: {text}"
