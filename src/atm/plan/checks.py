"""Compile the named checks of requests, and number them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from atm.dataclass import dataclass
from atm.models.fields import Path
from atm.models.request import CheckSpec, RequestSpec
from atm.models.spec import TestSpec
from atm.plan.expressions import compile_condition, judges_status
from atm.plan.program import Check, CheckName
from atm.plan.secret_text import looks_secret, masked_in_text
from atm.plan.subjects import ReadSchema
from atm.plan.templates import Names

MOST_NAMES = 1000
"""Most names of steps and checks in a plan."""


@dataclass(slots=True)
class Checks:
    """The checks of a plan so far."""

    names: Names
    read_schema: ReadSchema
    indices: dict[CheckName, int] = field(default_factory=dict)

    def of(
        self, endpoint: int, request: RequestSpec | TestSpec, path: Path, implied: Sequence[tuple[str, str]] = ()
    ) -> tuple[Check, ...]:
        """Compile the checks of a request, after those that its kind implies: name and condition."""
        checks: list[Check] = []
        places: dict[str, str | int] = {}
        written_checks = [(name, CheckSpec(check=text)) for name, text in implied]
        for key, written in [*written_checks, *request.named_checks]:
            place = (*path, "checks", key)
            condition = compile_condition(
                written.check, place, self.names, of_response=True, read_schema=self.read_schema, noun="check"
            )
            text = written.check.strip()
            if looks_secret(text):
                text = masked_in_text(text)
            name = (written.name or (key if isinstance(key, str) else text)).strip()[:128]
            if name in places:
                what = f'two checks of this request are called "{name}"'
                self.names.findings.add(place, what, "duplicate_name", "Give one of them another name, or remove it")
            places[name] = key
            if condition is not None:
                index = self.indices.setdefault(CheckName(name, endpoint), len(self.indices))
                checks.append(Check(index, condition, text, written.counts_only))
        return tuple(checks)

    @staticmethod
    def judge_status(checks: Sequence[Check]) -> bool:
        """Return whether a check decides by the status code whether the request is ok."""
        return any(judges_status(check.condition) for check in checks if not check.counts_only)
