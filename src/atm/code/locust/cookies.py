"""The cookies of a client, as a mapping from names to values."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from atm.code.user import User as CodeUser


class Cookies(MutableMapping[str, str]):
    """Reads and changes the cookies that the engine keeps for a user."""

    def __init__(self, user: CodeUser) -> None:
        self._user = user

    def __getitem__(self, name: str) -> str:
        return self.get_dict()[name]

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        if self._user.cookies is not None:
            self._user.cookies.remove(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.get_dict())

    def __len__(self) -> int:
        return len(self.get_dict())

    def get_dict(self) -> dict[str, str]:
        """Return name and value of each cookie."""
        return self._user.cookies.named() if self._user.cookies is not None else {}

    def set(self, name: str, value: str, domain: str | None = None, path: str = "/", **_others: Any) -> None:
        """Set a cookie, by default for every path of the host."""
        if self._user.cookies is not None:
            host = domain or urlsplit(self._user.base_url).hostname or ""
            self._user.cookies.store(f"{name}={value}; Path={path}", host=host, path=path, now_s=0)
