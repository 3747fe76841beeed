"""Connections of our own HTTP servers: limits on what a client may send, and TLS with certificates that are renewed.

May import uvicorn, h11, errors and settings. Start at `connection.py`; `configuration.py` brings it all to uvicorn.
"""

from atm.http_connection.certificate import ServerCertificate, certificate_of
from atm.http_connection.configuration import ServerConfig, url_of, warn_of_clear_text
from atm.http_connection.connection import (
    BODY_SECONDS,
    HEAD_SECONDS,
    MAXIMUM_HEAD_BYTES,
    STALL_SECONDS,
    Connection,
    most_connections,
)
from atm.http_connection.request_head import BAD_FRAMING, refusal_of_head
from atm.http_connection.tls import HANDSHAKE_SECONDS, TlsConnection

__all__ = [
    "BAD_FRAMING",
    "BODY_SECONDS",
    "HANDSHAKE_SECONDS",
    "HEAD_SECONDS",
    "MAXIMUM_HEAD_BYTES",
    "STALL_SECONDS",
    "Connection",
    "ServerCertificate",
    "ServerConfig",
    "TlsConnection",
    "certificate_of",
    "most_connections",
    "refusal_of_head",
    "url_of",
    "warn_of_clear_text",
]
