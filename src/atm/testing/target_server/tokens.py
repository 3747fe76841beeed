"""Tokens issued by a token endpoint, and the endpoint's failure modes."""

from __future__ import annotations

import secrets
import time
from enum import StrEnum

_TOKENS_LIMIT = 100_000


class TokenMode(StrEnum):
    """How `POST /oauth/token` behaves."""

    OK = "ok"
    SERVER_ERROR = "server_error"
    """500 with a text."""
    INVALID_CLIENT = "invalid_client"
    """401 with RFC 6749's error document, for any request."""
    GARBAGE = "garbage"
    """200 with a body that is not JSON."""
    NO_TOKEN = "no_token"
    """200 with JSON that lacks access_token."""
    NEVER = "never"
    """No response at all."""


class TokenStore:
    """Bearer tokens with a real expiry on the monotonic clock."""

    def __init__(self, expires_in: float) -> None:
        self._first_expires_in = expires_in
        self.expires_in = expires_in
        self.issued = 0
        self._mode = TokenMode.OK
        self._times = 0
        self._expiry_ns: dict[str, int] = {}

    def restart(self) -> None:
        """Reset behaviour and counts; issued tokens remain valid."""
        self.set_mode(TokenMode.OK, 0)
        self.expires_in = self._first_expires_in
        self.issued = 0

    def set_mode(self, mode: TokenMode, times: int) -> None:
        """Set the behaviour for the next `times` token requests; 0 for all from now on."""
        self._mode = mode
        self._times = times

    def next_mode(self) -> TokenMode:
        """Return the behaviour for one token request."""
        mode = self._mode
        if self._times:
            self._times -= 1
            if not self._times:
                self._mode = TokenMode.OK
        return mode

    def issue(self) -> str:
        """Issue a token, valid for `expires_in` seconds."""
        now = time.monotonic_ns()
        if len(self._expiry_ns) >= _TOKENS_LIMIT:
            self._expiry_ns = {token: expiry for token, expiry in self._expiry_ns.items() if expiry > now}
        self.issued += 1
        token = secrets.token_urlsafe(24)
        self._expiry_ns[token] = now + round(self.expires_in * 1e9)
        return token

    def refusal(self, token: str) -> str | None:
        """Return why this token is invalid now; None if it is valid."""
        expiry = self._expiry_ns.get(token)
        if expiry is None:
            return "the token was not issued here"
        return "the token expired" if time.monotonic_ns() >= expiry else None
