"""Headers that keep a browser from doing with an answer what it is not for. Pure."""

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
"""A browser comes by HTTPS only, for a year. Without subdomains: they may be somebody else's."""


def is_https(scope: Scope) -> bool:
    """Whether the client came by TLS, to us or to a trusted proxy."""
    return scope.get("scheme") in ("https", "wss")


def security_headers(scope: Scope) -> tuple[tuple[bytes, bytes], ...]:
    """What every answer to this request has."""
    return _ALWAYS + _BEHIND_HTTPS if is_https(scope) and not _is_this_machine(scope) else _ALWAYS


def _is_this_machine(scope: Scope) -> bool:
    # A browser would come to the other servers on localhost by HTTPS only.
    host = next((value for name, value in scope.get("headers", ()) if name == b"host"), b"")
    name = host.partition(b":")[0].lower()
    return name == b"localhost" or name.endswith(b".localhost")


def cookie_name(scope: Scope, name: str) -> str:
    """The name of a cookie: behind HTTPS one that browsers take from this host by HTTPS alone.

    `__Host-` binds it to the host and its whole path; below a path of a proxy it is `__Secure-`, for that path alone.
    """
    if not is_https(scope):
        return name
    return f"__Secure-{name}" if scope.get("root_path") else f"__Host-{name}"
