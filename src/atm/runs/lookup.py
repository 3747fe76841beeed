"""Find a run by what people and programs write: its id in any case, or the beginning of it that only one run has."""

from __future__ import annotations

import re

from atm.errors import NotFoundError, Problem
from atm.storage import StorageInterface
from atm.storage.errors import run_not_found

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MOST_NAMED = 5


async def whole_run_id(storage: StorageInterface, written: str) -> str:
    """The id of the run that is meant. Raises NotFoundError `run_not_found`, or `ambiguous_run_id` for several.

    A whole UUID is not looked up: who uses it finds out.
    """
    lowered = written.lower()
    if _UUID.fullmatch(lowered):
        return lowered
    found = await storage.runs.find(written, MOST_NAMED + 1)
    if not found and lowered != written:
        found = await storage.runs.find(lowered, MOST_NAMED + 1)
    exact = {written, lowered} & set(found)
    if exact:
        return written if written in exact else lowered
    if not found:
        raise run_not_found(written)
    if len(found) > 1:
        named = ", ".join(found[:MOST_NAMED]) + (", …" if len(found) > MOST_NAMED else "")
        what = f"several runs begin with {written}: {named}"
        raise NotFoundError(Problem(what, "ambiguous_run_id", path="run_id", hint="send more of the id"))
    return found[0]
