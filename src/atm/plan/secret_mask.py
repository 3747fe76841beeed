"""Mask known secrets in all output: problems, messages, results, logs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from atm.errors import AtmError, Problem
from atm.models.auth import FetchedCredential
from atm.plan.secret_text import MASK

_SHORTEST = 4
"""Characters; masking a shorter value would hide half of any text."""


class SecretMask:
    """Every value that a secret has had, in each encoding in which it may appear."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._longest_first: list[str] = []
        for value in values:
            self._forms |= _forms(value)
        self._sort()

    def learn(self, value: str) -> None:
        """Mask this value from now on, in addition to earlier ones."""
        self._forms |= _forms(value)
        self._sort()

    def _sort(self) -> None:
        self._longest_first = sorted(self._forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Mask any text, ignoring case: hosts are shown in lower case."""
        for form in self._longest_first:
            lower = text.lower()
            if form not in lower or len(lower) != len(text):
                # A few letters are longer in lower case; then only the exact spelling is masked.
                text = text.replace(form, MASK)
                continue
            pieces, position = [], 0
            while (at := lower.find(form, position)) >= 0:
                pieces += [text[position:at], MASK]
                position = at + len(form)
            text = "".join([*pieces, text[position:]])
        return text

    def problem(self, problem: Problem) -> Problem:
        """Mask a problem for display."""
        if not self._forms:
            return problem
        return replace(problem, what=self.text(problem.what), hint=self.text(problem.hint))

    def error(self, error: AtmError) -> AtmError:
        """Mask an error for display."""
        error.problems = tuple(self.problem(problem) for problem in error.problems)
        error.args = tuple(self.text(value) if isinstance(value, str) else value for value in error.args)
        return error


def secrets_of(credentials: Mapping[str, FetchedCredential]) -> list[str]:
    """Return the secrets that credentials are fetched or signed with."""
    fields = ("client_secret", "password", "secret")
    values = [getattr(credential, name, None) for credential in credentials.values() for name in fields]
    return [value for value in values if value]


def _forms(value: str) -> set[str]:
    from atm.plan.templates import percent_encoded

    escaped = json.dumps(value, ensure_ascii=False)[1:-1]
    forms = {value, value.strip(), percent_encoded(value), escaped, json.dumps(value)[1:-1], json.dumps(escaped)[1:-1]}
    # Lines of a key may be shown separately.
    forms |= {line for line in value.splitlines() if len(line) >= 2 * _SHORTEST and "-----" not in line}
    return {form.lower() for form in forms if len(form) >= _SHORTEST} | {
        form for form in forms if len(form) >= _SHORTEST
    }
