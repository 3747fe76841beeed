"""What has an id and a name, found by either: a name never looks like an id, and ids are looked up first."""

from __future__ import annotations

import re
from typing import Protocol, TypeVar

from atm.errors import ConflictError, NotFoundError, Problem
from atm.storage.records import is_id

_Kept = TypeVar("_Kept", covariant=True)
_MADE_ID = re.compile(r"[0-9a-f]{12}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""As `atm.engine.executor.new_run_id` makes them, and as earlier versions and keys do."""


class Named(Protocol[_Kept]):
    """A store of such things."""

    async def get(self, key: str, /) -> _Kept:
        """By id. Raises NotFoundError."""

    async def named(self, name: str, /) -> _Kept | None:
        """By name."""


async def found(store: Named[_Kept], named: str) -> _Kept | None:
    """By id, else by name: a thing cannot hide another one by taking its id for a name, also where it has done so."""
    if is_id(named):
        try:
            return await store.get(named)
        except NotFoundError:
            pass
    return await store.named(named)


def looks_like_id(name: str) -> bool:
    """Whether this may be the id of something."""
    return _MADE_ID.fullmatch(name) is not None


def checked_name(name: str) -> str:
    """`name`, when it can be one. Raises ConflictError `name_like_id` for one that looks like an id."""
    if looks_like_id(name):
        what = f"the name {name!r} looks like an id, by which another one may be found"
        hint = "use anything but a UUID or twelve hexadecimal digits"
        raise ConflictError(Problem(what, "name_like_id", path="name", hint=hint))
    return name
