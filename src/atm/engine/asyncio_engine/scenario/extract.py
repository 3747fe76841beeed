"""Extracts: from a full response into a variable."""

from __future__ import annotations

from collections.abc import Callable

from atm.engine.asyncio_engine.scenario.answer import Answer
from atm.engine.asyncio_engine.scenario.scope import Context, Scope
from atm.engine.asyncio_engine.scenario.subject import subject_of
from atm.engine.asyncio_engine.scenario.value import UNSET, Value
from atm.plan.program import Extract

Extracted = Callable[[Answer, Scope], Value]
"""Returns the new value of the variable; UNSET if the response has none and the extract has no default."""


def extract_of(extract: Extract, context: Context) -> Extracted:
    """Compile an extract. Raises PatternError or JsonPathError if the plan is not valid."""
    read = subject_of(extract.subject, context)
    if not extract.has_default:
        return read
    default = extract.default

    def extracted(answer: Answer, scope: Scope) -> Value:
        value = read(answer, scope)
        return default if value is UNSET else value

    return extracted
