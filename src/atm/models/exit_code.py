"""Exit codes of the commands."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command."""

    PASSED = 0
    UNEXPECTED_ERROR = 1
    USAGE = 2
    """Usage error, or a spec that cannot be run as written."""
    UNREACHABLE = 3
    """No request got a response."""
    MEASUREMENT_INVALID = 4
    """With `--strict`, also for a suspect measurement."""
    REGRESSION = 5
    """Slower than the baseline; reserved."""
    OUTPUT_FAILED = 6
    """The run itself is unaffected, but a file, the step summary or standard output could not be written."""
    THRESHOLDS_FAILED = 99
    INTERRUPTED = 130


PRECEDENCE = (
    ExitCode.USAGE,
    ExitCode.INTERRUPTED,
    ExitCode.UNEXPECTED_ERROR,
    ExitCode.UNREACHABLE,
    ExitCode.MEASUREMENT_INVALID,
    ExitCode.THRESHOLDS_FAILED,
    ExitCode.REGRESSION,
    ExitCode.OUTPUT_FAILED,
    ExitCode.PASSED,
)
"""Precedence when several codes apply."""


def first_of(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the exit code if all of `codes` apply; PASSED without any."""
    return min(codes, key=PRECEDENCE.index, default=ExitCode.PASSED)
