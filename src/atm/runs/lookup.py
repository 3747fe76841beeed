"""Find a run by its id in any case, or by an unambiguous prefix of it."""

from __future__ import annotations

import re

from atm.errors import NotFoundError, Problem
from atm.storage import StorageInterface
from atm.storage.errors import run_not_found

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MOST_NAMED = 5


async def whole_run_id(storage: StorageInterface, written: str) -> str:
    """Return the full id of a run. Raises NotFoundError `run_not_found`, or `ambiguous_run_id` for several matches.

    A complete UUID is not looked up; the caller's next query reports a missing run.
    """
    lowered = written.lower()
    if _UUID.fullmatch(lowered):
        return lowered
    matches = await storage.runs.find(written, MOST_NAMED + 1)
    if not matches and lowered != written:
        matches = await storage.runs.find(lowered, MOST_NAMED + 1)
    exact = {written, lowered} & set(matches)
    if exact:
        return written if written in exact else lowered
    if not matches:
        raise run_not_found(written)
    if len(matches) > 1:
        named = ", ".join(matches[:MOST_NAMED]) + (", …" if len(matches) > MOST_NAMED else "")
        what = f"several runs begin with {written}: {named}"
        raise NotFoundError(Problem(what, "ambiguous_run_id", path="run_id", hint="use a longer part of the id"))
    return matches[0]
