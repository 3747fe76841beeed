"""Which Ray a run uses: one started here, or a cluster by the address of its Ray Client server."""

from __future__ import annotations

import re

from atm.access.loopback import is_loopback
from atm.dataclass import dataclass
from atm.errors import Problem, SpecError

DEFAULT_PORT = 10001
"""Ray's own default for its Ray Client server."""
LOCAL = "ray:local"
_CLUSTER = re.compile(r"ray://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?/?")


@dataclass(frozen=True, slots=True)
class RayAddress:
    """An address as users write it, `ray:local` or `ray://HOST:PORT`. Host and port are empty and 0 for the first."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"ray://{self.target}" if self.port else LOCAL

    @property
    def is_local(self) -> bool:
        """Whether the run starts Ray itself."""
        return not self.port

    @property
    def target(self) -> str:
        """Host and port as gRPC takes them."""
        return f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether no other machine can be between this one and the cluster's head."""
        return self.is_local or is_loopback(self.host.strip("[]"))


def parse_ray_address(text: str, path: str = "") -> RayAddress:
    """Parse an address; `path` is its place, for the problem. Raises SpecError."""
    if text.strip() == LOCAL:
        return RayAddress("", 0)
    match = _CLUSTER.fullmatch(text.strip())
    port = int(match[2] or DEFAULT_PORT) if match else 0
    if match is None or not 0 < port < 65536:
        raise SpecError(
            Problem(
                f"{text!r} is not the address of a fleet",
                "invalid_fleet_address",
                path=path,
                hint=f"{LOCAL}, or ray://HOST:PORT with the port of the Ray Client server, by default {DEFAULT_PORT}",
            )
        )
    return RayAddress(match[1], port)
