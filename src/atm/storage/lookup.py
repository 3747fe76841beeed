"""Find stored objects by id or name: ids are looked up first, and a name must not look like an id."""

from __future__ import annotations

import re
from typing import Protocol, TypeVar

from atm.errors import ConflictError, NotFoundError, Problem
from atm.storage.records import is_id

_Stored = TypeVar("_Stored", covariant=True)
_GENERATED_ID = re.compile(r"[0-9a-f]{12}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The format of `atm.engine.executor.new_run_id`, of earlier versions and of API keys."""


class Named(Protocol[_Stored]):
    """A store of objects with an id and a name."""

    async def get(self, key: str, /) -> _Stored:
        """Return the object with this id. Raises NotFoundError."""

    async def named(self, name: str, /) -> _Stored | None:
        """Return the object with this name, or None."""


async def find(store: Named[_Stored], reference: str) -> _Stored | None:
    """Find by id, else by name, so that an object named like the id of another one cannot hide it."""
    if is_id(reference):
        try:
            return await store.get(reference)
        except NotFoundError:
            pass
    return await store.named(reference)


def looks_like_id(name: str) -> bool:
    """Return whether a name has the format of an id."""
    return _GENERATED_ID.fullmatch(name) is not None


def checked_name(name: str) -> str:
    """Return `name` if it is allowed. Raises ConflictError `name_like_id` for one that looks like an id."""
    if looks_like_id(name):
        what = f"the name {name!r} looks like an id"
        hint = "use anything but a UUID or twelve hexadecimal digits"
        raise ConflictError(Problem(what, "name_like_id", path="name", hint=hint))
    return name
