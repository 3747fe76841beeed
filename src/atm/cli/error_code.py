"""The exit code of an error that ends a command."""

from __future__ import annotations

from atm.errors import AtmError, CapabilityError, NotFoundError, SettingsError, SpecError, UnreachableError
from atm.fleet.transport import FleetError
from atm.models.exit_code import ExitCode


def code_of(error: AtmError) -> ExitCode:
    """Return the code: usage for what has to be written differently, unreachable, or an unexpected error."""
    if isinstance(error, SpecError | CapabilityError | SettingsError | NotFoundError | FleetError):
        return ExitCode.USAGE
    return ExitCode.UNREACHABLE if isinstance(error, UnreachableError) else ExitCode.UNEXPECTED_ERROR
