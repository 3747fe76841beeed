"""Every error that this package raises on purpose, and the shape in which people see it.

    AtmError                     anything we say on purpose; carries one or more Problems
    ├── SpecError                the spec cannot be run as written (exit code 2)
    ├── EngineError              a plan could not be run, or an engine died in the middle
    │   └── CapabilityError      no engine here can run this plan; names the feature
    ├── CredentialError          a token could not be fetched, signed or renewed
    ├── UnreachableError         nothing could be sent, as no name of a target resolves (exit code 3)
    ├── OutputError              a result could not be written, to a file or to standard output
    └── TargetServerError        the bundled target server did not start or stop

A failed request is a sample and a missed threshold is a verdict: neither is an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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

    def __reduce__(self) -> tuple[type[AtmError], tuple[tuple[Problem, ...]]]:
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
