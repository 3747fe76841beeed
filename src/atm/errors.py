"""Every error that this package raises on purpose, and the shape in which people see it.

    AtmError                     anything we say on purpose; carries one or more Problems
    ├── SpecError                the spec cannot be run as written (exit code 2)
    ├── EngineError              a plan could not be run, or an engine died in the middle
    │   └── CapabilityError      no engine here can run this plan; names the feature
    ├── CredentialError          a token could not be fetched, signed or renewed
    ├── UnreachableError         nothing could be sent, as no name of a target resolves (exit code 3)
    ├── OutputError              a result could not be written, to a file or to standard output
    ├── TargetServerError        the bundled target server did not start or stop
    ├── ApiRefusedError          a server answered with a refusal; its problems are the server's
    ├── ServerUnreachableError   a server could not be reached (exit code 1: it is no target)
    ├── SettingsError            an environment variable or a setting has a value that cannot be
    └── StorageError             the history could not be read or written
        ├── StorageUnavailableError  no room, no permission, no connection, locked for too long; nothing was written
        ├── SchemaError          the database is older, newer or something else than this version reads
        ├── CorruptDataError     what was read is not what was written; names the place
        ├── BundleError          a file that should hold a run holds something else
        ├── NotFoundError        nothing there by this id or name
        ├── ConflictError        it is there already, or in a state that does not allow this
        └── StaleLeaseError      a write by someone who no longer owns the run; nothing was written

A failed request is a sample and a missed threshold is a verdict: neither is an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, where it is, and what would be right.

    `what` is a sentence without a full stop; `code` a stable snake_case name; `path` the place in the spec
    (`endpoints[1].url`) or empty; `place` a human location beyond the path (`shop.yaml:12`) or empty; `hint` something
    that a person can type or do, or empty.
    """

    what: str
    code: str
    path: str = ""
    place: str = ""
    hint: str = ""

    @property
    def where(self) -> str:
        """Path and place together, as one `at:` line; empty when neither is known."""
        return ", ".join(part for part in (self.path, self.place) if part)

    def lines(self) -> list[str]:
        """The problem as people see it: `error: what [code]`, then `at:`, then `hint:`."""
        lines = [f"error: {self.what} [{self.code}]"]
        if self.where:
            lines.append(f"  at: {self.where}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return lines


class AtmError(Exception):
    """The root of the tree above. `problems` holds at least one `Problem`."""

    def __init__(self, problems: Problem | Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(line for problem in self.problems for line in problem.lines()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems,)


class SpecError(AtmError):
    """The spec cannot be run as written; `problems` lists everything that is wrong with it."""


class EngineError(AtmError):
    """A plan could not be run, or an engine died in the middle of a run."""


class CapabilityError(EngineError):
    """No engine that is installed here can run this plan."""


class CredentialError(AtmError):
    """A token could not be fetched, signed or renewed."""


class UnreachableError(AtmError):
    """Nothing could be sent: not one target has an address."""


class OutputError(AtmError):
    """A result could not be written, to a file or to standard output."""


class TargetServerError(AtmError):
    """The bundled target server did not start or stop."""


class ApiRefusedError(AtmError):
    """A server of ours refused a request, or answered something else than its answers look like."""

    def __init__(self, problems: Problem | Sequence[Problem], status: int = 0) -> None:
        super().__init__(problems)
        self.status = status
        """The HTTP status; 0 without one."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems, self.status)


class ServerUnreachableError(AtmError):
    """A server of ours could not be reached."""


class SettingsError(AtmError):
    """An environment variable or a setting has a value that cannot be; `problems` names every one."""


class StorageError(AtmError):
    """The history could not be read or written."""


class StorageUnavailableError(StorageError):
    """No room, no permission, no connection, or locked for too long. Nothing of this write was kept; try it again."""


class SchemaError(StorageError):
    """The database is older, newer or something else than this version reads."""


class CorruptDataError(StorageError):
    """What was read is not what was written; `place` names the file or the row."""


class BundleError(StorageError):
    """A file that should hold a run holds something else, or only a part of it."""


class NotFoundError(StorageError):
    """Nothing is there by this id or name."""


class ConflictError(StorageError):
    """It is there already, or it is in a state that does not allow this."""


class StaleLeaseError(StorageError):
    """A write by someone who no longer owns the run. Nothing was written, and nothing of it may be tried again."""
