"""The addresses on which a target server listens."""

from __future__ import annotations

from atm.dataclass import dataclass
from atm.errors import Problem, TargetServerError


@dataclass(frozen=True, slots=True)
class Addresses:
    """The listening addresses of a server. A port is 0 if there is no such listener."""

    host: str
    port: int
    tls_port: int

    @property
    def url(self) -> str:
        """Base URL in clear, without trailing slash."""
        return f"http://{self._authority}:{self.port}"

    @property
    def https_url(self) -> str:
        """Base URL over TLS. Raises TargetServerError if the server has no TLS listener."""
        if not self.tls_port:
            raise TargetServerError(Problem("this target server has no TLS listener", "no_tls", hint="Use tls=True"))
        return f"https://{self._authority}:{self.tls_port}"

    @property
    def _authority(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host
