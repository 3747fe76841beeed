"""Security headers and cookie names of responses. Pure."""

from __future__ import annotations

from starlette.types import Scope

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), "
        b"microphone=(), midi=(), payment=(), usb=()",
    ),
)
_BEHIND_HTTPS = ((b"strict-transport-security", b"max-age=31536000"),)
"""HSTS for a year, without subdomains, which may belong to others."""


def is_https(scope: Scope) -> bool:
    """Whether the client uses TLS, to this server or to a trusted proxy."""
    return scope.get("scheme") in ("https", "wss")


def security_headers(scope: Scope) -> tuple[tuple[bytes, bytes], ...]:
    """Return the security headers of every response to this request."""
    return _ALWAYS + _BEHIND_HTTPS if is_https(scope) and not _is_this_machine(scope) else _ALWAYS


def _is_this_machine(scope: Scope) -> bool:
    # HSTS would force HTTPS on all other servers on localhost, too.
    host = next((value for name, value in scope.get("headers", ()) if name == b"host"), b"")
    name = host.partition(b":")[0].lower()
    return name == b"localhost" or name.endswith(b".localhost")


def cookie_name(scope: Scope, name: str) -> str:
    """Return the name of a cookie, behind HTTPS with a prefix that makes browsers accept it only over HTTPS.

    `__Host-` binds it to the host with path `/`; below a proxy's path it is `__Secure-`, limited to that path.
    """
    if not is_https(scope):
        return name
    return f"__Secure-{name}" if scope.get("root_path") else f"__Host-{name}"
