"""Map connection errors to outcomes and messages (identical in both engines, so failures group)."""

from __future__ import annotations

import errno
import os
import ssl

from atm.models.outcome import Outcome

_OURS = {
    errno.EADDRNOTAVAIL: "no free local port",
    errno.EADDRINUSE: "no free local port",
    errno.EMFILE: "no free file descriptor",
    errno.ENFILE: "no free file descriptor",
    errno.ENOBUFS: "no memory for a socket",
    errno.ENOMEM: "no memory for a socket",
}
"""Faults of the load generator."""

_THEIRS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ENETUNREACH: "network unreachable",
    errno.EHOSTUNREACH: "no route to host",
    errno.ETIMEDOUT: "connection timed out",
    errno.ECONNRESET: "reset by the target",
    errno.EPERM: "connection not permitted",
    errno.EACCES: "connection not permitted",
}


def connect_failure(error: OSError) -> tuple[Outcome, str]:
    """Return outcome and message of a socket that could not be opened or connected."""
    number = error.errno or 0
    if number in _OURS:
        return Outcome.GENERATOR_ERROR, _OURS[number]
    return Outcome.CONNECT_ERROR, _THEIRS.get(number) or (os.strerror(number).lower() if number else str(error))


def tls_failure(error: Exception) -> str:
    """Return the reason of a TLS failure in one line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return _tls_reason(error) or "handshake failed"
    return "closed during the handshake"


def lost_connection(error: Exception | None, otherwise: str) -> tuple[Outcome, str]:
    """Return outcome and message of a connection that ended too early; `otherwise` if there is no error."""
    if isinstance(error, ssl.SSLError):
        return Outcome.TLS_ERROR, _tls_reason(error)
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return Outcome.CONNECTION_CLOSED, "reset by the target"
    return Outcome.CONNECTION_CLOSED, otherwise


def _tls_reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason in lower case, such as `wrong version number`."""
    # Errors raised in Python have none.
    reason = getattr(error, "reason", None) or (str(error.args[-1]) if error.args else "")
    return str(reason).lower().replace("_", " ")
