"""The exceptions of this package, and `Problem`, the form in which users see them.

    AtmError                     the base of all; carries one or more Problems
    ├── SpecError                the spec cannot be run as written (exit code 2)
    ├── EngineError              a plan could not be run, or an engine died during a run
    │   └── CapabilityError      no installed engine can run this plan; names the feature
    ├── DataError                rows of test data cannot be read, or their table cannot be written
    ├── CredentialError          a token could not be fetched, signed or renewed
    ├── UnreachableError         no request could be sent, as no target name resolves (exit code 3)
    ├── OutputError              a result could not be written, to a file or to standard output
    ├── TargetServerError        the bundled target server did not start or stop
    ├── ApiRefusedError          a server refused a request; its problems are the server's
    ├── ServerUnreachableError   a server could not be reached (exit code 1: it is not a target)
    ├── SettingsError            an environment variable or a setting has an invalid value
    └── StorageError             the history could not be read or written
        ├── StorageUnavailableError  no space, no permission, no connection, locked for too long; nothing was written
        ├── SchemaError          the schema of the database is older, newer or unknown to this version
        ├── CorruptDataError     stored data is damaged; names the place
        ├── BundleError          a bundle is not a valid run
        ├── NotFoundError        no object has this id or name
        ├── ConflictError        the object exists already, or its state does not allow the operation
        └── StaleLeaseError      the writer no longer owns the run; nothing was written

A failed request is a sample and a missed threshold is a verdict: neither is an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atm.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: what is wrong, where, and how to fix it.

    `what` is a sentence without a full stop; `code` a stable snake_case name; `path` the place in the spec
    (`endpoints[1].url`) or empty; `place` a location beyond the path (`shop.yaml:12`) or empty; `hint` something that
    the user can type or do, or empty.
    """

    what: str
    code: str
    path: str = ""
    place: str = ""
    hint: str = ""

    @property
    def where(self) -> str:
        """Path and place joined for the `at:` line; empty without either."""
        return ", ".join(part for part in (self.path, self.place) if part)

    def lines(self) -> list[str]:
        """Return the problem as it is printed: `error: what [code]`, then `at:`, then `hint:`."""
        lines = [f"error: {self.what} [{self.code}]"]
        if self.where:
            lines.append(f"  at: {self.where}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return lines


class AtmError(Exception):
    """The base class of the tree above. `problems` holds at least one `Problem`."""

    def __init__(self, problems: Problem | Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(line for problem in self.problems for line in problem.lines()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)


class SpecError(AtmError):
    """The spec cannot be run as written; `problems` lists all its errors."""


class EngineError(AtmError):
    """A plan could not be run, or an engine died during a run."""


class CapabilityError(EngineError):
    """No installed engine can run this plan."""


class DataError(AtmError):
    """Rows of test data cannot be read, or their table cannot be written."""


class CredentialError(AtmError):
    """A token could not be fetched, signed or renewed."""


class UnreachableError(AtmError):
    """No request could be sent: no target name resolves to an address."""


class OutputError(AtmError):
    """A result could not be written, to a file or to standard output."""


class TargetServerError(AtmError):
    """The bundled target server did not start or stop."""


class ApiRefusedError(AtmError):
    """An API server refused a request, or sent an unexpected response."""

    def __init__(self, problems: Problem | Sequence[Problem], status: int = 0) -> None:
        super().__init__(problems)
        self.status = status
        """The HTTP status; 0 without a response."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems, self.status)


class ServerUnreachableError(AtmError):
    """An API server could not be reached."""


class SettingsError(AtmError):
    """An environment variable or a setting has an invalid value; `problems` names all of them."""


class StorageError(AtmError):
    """The history could not be read or written."""


class StorageUnavailableError(StorageError):
    """No space, no permission, no connection, or locked for too long. Nothing was written; the write can be retried."""


class SchemaError(StorageError):
    """The schema of the database is older, newer or unknown to this version."""


class CorruptDataError(StorageError):
    """Stored data is damaged; `place` names the file or the row."""


class BundleError(StorageError):
    """A bundle is not a valid run, or incomplete."""


class NotFoundError(StorageError):
    """No object has this id or name."""


class ConflictError(StorageError):
    """The object exists already, or its state does not allow the operation."""


class StaleLeaseError(StorageError):
    """The writer no longer owns the run. Nothing was written, and the write must not be retried."""
