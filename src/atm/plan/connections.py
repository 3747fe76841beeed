"""What a plan says about connections: origins, TLS, proxy, redirects, HTTP version."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from atm.dataclass import dataclass
from atm.plan.targets import TargetRules

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """A destination of connections. Name resolution fills `addresses` just before the start."""

    scheme: Literal["http", "https"]
    host: str
    """A name (IDNA, lower case) or an address, IPv6 without brackets."""
    port: int
    connect_host: str = ""
    """Dial this host instead (connect-to override); empty for `host`."""
    connect_port: int = 0
    addresses: tuple[str, ...] = ()
    """Checked IP addresses, used in turn by new connections; engines dial no others."""
    resolve_error: str = ""
    """Why there are no addresses; every request to this origin then ends as dns_error."""

    @property
    def authority(self) -> str:
        """`host:port` as in a URL, without the scheme's default port, IPv6 in brackets."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == DEFAULT_PORTS[self.scheme] else f"{name}:{self.port}"

    @property
    def url(self) -> str:
        """`scheme://host:port`, as `authority` writes it."""
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS settings for every https origin. File contents, not paths: PEM text."""

    insecure: bool = False
    ca_pem: str = ""
    """CAs trusted in addition to the system's roots."""
    certificate_pem: str = ""
    key_slot: str = ""
    """The secret slot that holds the client key's PEM."""
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy: absolute-form for http, CONNECT for https."""

    origin: Origin
    authorization_slot: str = ""
    """The secret slot that holds the value of Proxy-Authorization; empty for none."""


@dataclass(frozen=True, slots=True)
class Connections:
    """Settings of connections and responses."""

    tls: Tls = field(default_factory=Tls)
    proxy: Proxy | None = None
    redirects: int = 0
    """Most redirects to follow per request; 0 = a 3xx is treated like any other response."""
    max_response_bytes: int | None = None
    keep_alive: bool = True
    http_version: Literal["1.1", "2", "auto"] = "1.1"
    streams_per_connection: int = 1
    """HTTP/2: number of users per connection."""
    resolve_every_ns: int | None = None
    source_addresses: tuple[str, ...] = ()
    targets: TargetRules | None = None
    """Rules for targets; None = all allowed. They also apply to redirects, re-resolution and token servers."""
