"""The cookies of a user, as its code sees and changes them."""

from __future__ import annotations

from typing import Protocol


class Jar(Protocol):
    """The cookies that servers have set, kept by the engine."""

    def named(self) -> dict[str, str]:
        """Return name and value of each cookie."""
        ...

    def store(self, set_cookie: str, *, host: str, path: str, now_s: int) -> None:
        """Store the cookie of a `Set-Cookie` line that a host has sent."""
        ...

    def remove(self, name: str) -> None:
        """Forget the cookies of a name."""
        ...

    def clear(self) -> None:
        """Forget all cookies."""
        ...
