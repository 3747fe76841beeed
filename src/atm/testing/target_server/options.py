"""Options of the target server, as one frozen value that is passed as JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from atm.dataclass import dataclass
from atm.errors import Problem, TargetServerError

LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The options of a target server. Durations are in seconds."""

    host: str = "127.0.0.1"
    """`127.0.0.1` (or another address of 127.0.0.0/8), `::1`, or `localhost` for both on one port."""
    port: int = 0
    """0 chooses a free one."""
    tls_port: int | None = None
    """A second listener with TLS: None for none, 0 for a free port."""
    certificate_file: str | None = None
    key_file: str | None = None
    client_ca_file: str | None = None
    """If given, the TLS listener requires a client certificate signed by this authority."""
    backlog: int = 4096
    max_rows: int = 5_000_000
    """Most requests with a row in the record (53 bytes each); others are only counted."""
    capture: int = 0
    """Number of first requests whose raw bytes are stored for `captured()`; at most 1 MiB of each."""
    stall_after: float | None = None
    """Seconds from the first counted request to a stall of `stall_seconds`; None for no scheduled stall."""
    stall_seconds: float = 0.0
    client_id: str = "atm-client"
    client_secret: str = "atm-secret"
    username: str = "atm-user"
    password: str = "atm-password"
    bearer_token: str = "atm-token"
    api_key: str = "atm-key"
    token_expires_in: float = 3600.0
    jwt_secret: str = "atm-jwt-secret-of-at-least-32-bytes"
    jwt_public_key: str | None = None
    """PEM public key with which `/auth/jwt` verifies RS256."""

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK_HOSTS and not self.host.startswith("127."):
            raise TargetServerError(
                Problem(
                    f"the target server does not listen on {self.host}, only on this machine itself",
                    "not_loopback",
                    hint="Use 127.0.0.1, ::1, or localhost for both",
                )
            )
        for port in (self.port, self.tls_port or 0):
            if not 0 <= port <= 65535:
                raise TargetServerError(
                    Problem(f"{port} is no port", "bad_port", hint="0 to 65535; 0 takes a free one")
                )

    def to_json(self) -> str:
        """One line, for the server's standard input."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, line: str) -> ServerOptions:
        """Parse the output of `to_json`."""
        fields: dict[str, Any] = json.loads(line)
        return cls(**fields)
