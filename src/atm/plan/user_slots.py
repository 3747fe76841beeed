"""The variables that steps extract, each in a slot of the user."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

from atm.models.fields import Findings, Path
from atm.models.request import ExtractSpec
from atm.models.scenario import RequestStep
from atm.models.spec import TestSpec
from atm.plan.program import Slot
from atm.plan.secret_names import is_sensitive

_SLOT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


def user_slots(
    requests: Iterable[tuple[RequestStep, Path]], spec: TestSpec, findings: Findings, of_setup: Container[str]
) -> dict[str, Slot]:
    """Return a slot for each variable that requests, given with their paths, extract; report names that cannot be used.

    `of_setup` has the names of the variables that `setup` extracts.
    """
    slots: dict[str, Slot] = {}
    for step, place in requests:
        for name, written in step.extract.items():
            where = (*place, "extract", name)
            if not _SLOT_NAME.fullmatch(name):
                what = f'"{name[:80]}" cannot name a variable'
                findings.add(where, what, "bad_name", "Use letters, digits and underscores: `order_id`")
                continue
            if name in spec.variables or name in of_setup:
                other = "one of the variables of the spec" if name in spec.variables else "a value of setup"
                what = f'"{name}" is extracted here and also {other}'
                findings.add(where, what, "duplicate_name", "Give one of them another name")
            is_secret = (
                is_sensitive(name)
                or (isinstance(written, ExtractSpec) and written.secret)
                or (name in slots and slots[name].is_secret)
            )
            slots[name] = Slot(name, is_secret)
    return slots
