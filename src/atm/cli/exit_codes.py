"""The numbers with which `atm` ends, for scripts and CI."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended. Where several hold, the first of `PRECEDENCE` is the one."""

    PASSED = 0
    ERROR = 1
    """Something went wrong that is neither the target's doing nor the spec's."""
    USAGE = 2
    """The command line or the spec cannot be run as written."""
    UNREACHABLE = 3
    """No request got an answer."""
    INVALID = 4
    """The measurement is invalid; with `--strict` also when it is suspect."""
    REGRESSION = 5
    """Reserved for comparisons with a baseline."""
    THRESHOLDS = 99
    INTERRUPTED = 130
    """Stopped or cancelled by Ctrl-C."""


PRECEDENCE = (
    ExitCode.USAGE,
    ExitCode.INTERRUPTED,
    ExitCode.ERROR,
    ExitCode.UNREACHABLE,
    ExitCode.INVALID,
    ExitCode.THRESHOLDS,
    ExitCode.REGRESSION,
    ExitCode.PASSED,
)


def worst(*codes: ExitCode) -> ExitCode:
    """The code that a process ends with when all of `codes` hold; `PASSED` without any."""
    return min(codes, key=PRECEDENCE.index, default=ExitCode.PASSED)
