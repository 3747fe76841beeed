"""With which number a command ends."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command."""

    PASSED = 0
    UNEXPECTED_ERROR = 1
    USAGE = 2
    """Wrong usage, or a spec that cannot be run as written."""
    UNREACHABLE = 3
    """No request got an answer."""
    MEASUREMENT_INVALID = 4
    """With `--strict` also a suspect one."""
    REGRESSION = 5
    """Slower than the baseline; reserved."""
    OUTPUT_FAILED = 6
    """The run is what it is, but a file, the step summary or standard output could not be written."""
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
"""Where several hold, the first of these."""


def first_of(codes: Iterable[ExitCode]) -> ExitCode:
    """The code that a command ends with when all of `codes` hold; PASSED when none does."""
    return min(codes, key=PRECEDENCE.index, default=ExitCode.PASSED)
