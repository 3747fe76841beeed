"""uvicorn's configuration for a server of ours, with TLS or without."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any

import uvicorn

from atm.access.loopback import is_loopback
from atm.config import Settings
from atm.http_connection.certificate import ServerCertificate, certificate_of

log = logging.getLogger("atm.http")


class ServerConfig(uvicorn.Config):
    """Speaks TLS with the certificate of the settings; handshakes are made by `TlsConnection`, not by the listener."""

    def __init__(
        self,
        app: Any,
        settings: Settings,
        *,
        http: type[asyncio.Protocol],
        https: type[asyncio.Protocol],
        **options: Any,
    ) -> None:
        """`http` and `https` are the protocols without TLS and with it; `options` are uvicorn's.

        Raises SettingsError where the certificate cannot be used.
        """
        is_tls = certificate_of(settings) is not None
        super().__init__(
            app, http=https if is_tls else http, ssl_context_factory=_context if is_tls else None, **options
        )
        self._settings = settings
        self.certificate: ServerCertificate | None = None

    def load(self) -> None:
        """In the process that serves: a context of OpenSSL belongs to one."""
        self.certificate = certificate_of(self._settings)
        super().load()
        # A listener that makes handshakes itself gives each a minute, and counts none of them.
        self.ssl = None


def _context(config: uvicorn.Config, _default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    assert isinstance(config, ServerConfig)
    assert config.certificate is not None
    return config.certificate.context()


def url_of(host: str, port: int, *, is_tls: bool) -> str:
    """Where a server listens, as an address."""
    return f"http{'s' if is_tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def warn_of_clear_text(settings: Settings, host: str) -> None:
    """Say at the start that keys can be read on their way, where nothing is known that would encrypt them."""
    if settings.tls_cert is None and not settings.trusted_proxies and not is_loopback(host):
        log.warning(
            "keys and data travel in clear: %s can be reached from other machines, and this server speaks no TLS. "
            "Give it --tls-cert and --tls-key, or let a proxy speak TLS and name it in ATM_TRUSTED_PROXIES",
            host,
        )
