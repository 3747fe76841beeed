"""Accounts of the shop: generated and registered ones, and their sessions."""

from __future__ import annotations

import re
from dataclasses import field
from hashlib import blake2b

from atm.dataclass import dataclass

SESSIONS_LIMIT = 1_000_000
"""Beyond it, the oldest session ends."""
REGISTRATIONS_LIMIT = 1_000_000
_GENERATED = re.compile(r"user([0-9]{4,9})")
_NAME = re.compile(r"[A-Za-z0-9._@+-]{1,64}")


@dataclass(slots=True)
class Account:
    """An account that has signed in, and what the books know of it."""

    name: str
    requests: int = 0
    """Logins, and requests in a session of this account."""
    logins: int = 0
    orders: int = 0
    items: int = 0
    """Pieces ordered."""


@dataclass(slots=True)
class Session:
    """A login. Its cart maps the number of a product to a quantity."""

    token: str
    account: Account
    expires_ns: int
    cart: dict[int, int] = field(default_factory=dict)


class Accounts:
    """Who may sign in, and who has.

    Account n of `count` generated ones is `user` and `password` with at least four digits of n. They take no memory
    before they sign in.
    """

    def __init__(self, seed: int, count: int, session_ns: int) -> None:
        self.count = count
        self.logins = 0
        self.logins_refused = 0
        self.seen: dict[str, Account] = {}
        """Accounts that have signed in, by name."""
        self.sessions: dict[str, Session] = {}
        self.registered: dict[str, str] = {}
        """Passwords of registered accounts."""
        self._seed = seed
        self._session_ns = session_ns
        self._issued = 0

    def exists(self, name: str) -> bool:
        """Return whether there is an account of this name."""
        return name in self.registered or self._generated(name) is not None

    def register(self, name: str, password: str) -> None:
        """Add an account. Its name must be valid (`is_name`) and free."""
        self.registered[name] = password

    def login(self, name: str, password: str, now_ns: int) -> Session | None:
        """Open a session, or return None if the name or the password is wrong."""
        expected = self.registered.get(name) or self._generated(name)
        if expected != password:
            self.logins_refused += 1
            return None
        session = self.open(name, now_ns)
        session.account.logins += 1
        session.account.requests += 1
        self.logins += 1
        return session

    def open(self, name: str, now_ns: int) -> Session:
        """Open a session for an account without a password."""
        account = self.seen.get(name)
        if account is None:
            account = self.seen[name] = Account(name)
        self._issued += 1
        token = blake2b(b"%d:%d" % (self._seed, self._issued), digest_size=18).hexdigest()
        if len(self.sessions) >= SESSIONS_LIMIT:
            del self.sessions[next(iter(self.sessions))]
        session = self.sessions[token] = Session(token, account, now_ns + self._session_ns)
        return session

    def session(self, token: str, now_ns: int) -> Session | None:
        """Return the session of a token, or None if there is none or it has expired."""
        session = self.sessions.get(token)
        if session is not None and session.expires_ns <= now_ns:
            del self.sessions[token]
            return None
        return session

    def logout(self, session: Session) -> None:
        """End a session."""
        self.sessions.pop(session.token, None)

    def _generated(self, name: str) -> str | None:
        """Return the password of a generated account, or None if there is no such account."""
        match = _GENERATED.fullmatch(name)
        if match is None:
            return None
        number = int(match[1])
        if not 1 <= number <= self.count or name != f"user{number:04d}":
            return None
        return f"password{number:04d}"


def is_name(name: str) -> bool:
    """Return whether a name may be registered: 1 to 64 letters, digits and `._@+-`."""
    return _NAME.fullmatch(name) is not None
