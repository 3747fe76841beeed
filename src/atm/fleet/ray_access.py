"""Who may use a Ray cluster: whether it demands a token, and whether it accepts ours.

Who reaches a Ray that demands no token can run any code on its nodes. Therefore atm uses such a cluster only on
loopback or when explicitly allowed. The check comes before Ray's own connection, which would retry for half a minute
and not say why. It calls one method of Ray Client by gRPC and imports no Ray.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

from atm.errors import Problem
from atm.fleet.transport import FleetError
from atm.models.ray_address import RayAddress

PROBE_SECONDS = 10.0
_METHOD = "/ray.rpc.RayletDriver/ClusterInfo"
_PING = bytes((8, 6))  # field 1 of ClusterInfoRequest: PING, which is answered without a session
NOT_INSTALLED = Problem(
    "Ray is not installed here",
    "ray_not_installed",
    hint="pip install 'api-test-machine[ray]'",
)


class Access(StrEnum):
    """What a cluster answered to a connection."""

    GRANTED = "granted"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


def check_access(address: RayAddress, allow_open: bool) -> bool:
    """Return whether the cluster demands a token, which is then ours. Raises FleetError for one that must not be used.

    `allow_open` permits a cluster on another machine that demands none. With Ray's TLS, in which both sides have
    certificates, no token is needed.
    """
    if _uses_tls():
        return bool(own_token())
    answer = _ping(address, "")
    if answer is Access.UNREACHABLE:
        raise FleetError(
            Problem(
                f"no Ray Client server answers at {address.target}",
                "cluster_unreachable",
                hint="`ray start --head` starts one on port 10001 where `ray[client]` is installed; check HOST, PORT "
                "and firewalls",
            )
        )
    if answer is Access.GRANTED:
        if address.is_loopback or allow_open:
            return False
        raise FleetError(
            Problem(
                f"the Ray cluster at {address.target} demands no token: all who reach it can run code on its nodes",
                "cluster_open",
                hint="start all its nodes with RAY_AUTH_MODE=token (`ray get-auth-token --generate`), or allow it: "
                "--allow-open-cluster",
            )
        )
    token = own_token()
    if not token:
        raise FleetError(
            Problem(
                f"the Ray cluster at {address.target} demands a token, and there is none here",
                "cluster_token_missing",
                hint="set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to a file with it, or put it in ~/.ray/auth_token",
            )
        )
    if _ping(address, token) is not Access.GRANTED:
        raise FleetError(
            Problem(
                f"the Ray cluster at {address.target} does not accept the token",
                "cluster_token_refused",
                hint="`ray get-auth-token` on the head node prints the token of the cluster",
            )
        )
    return True


def own_token() -> str:
    """Return the token that Ray uses in this process, by its rules; empty without one. Raises FleetError."""
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else Path.home() / ".ray" / "auth_token"
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        if not named:
            return ""
        raise FleetError(
            Problem(f"RAY_AUTH_TOKEN_PATH names a file that cannot be read: {path}", "cluster_token_unreadable")
        ) from error


def _uses_tls() -> bool:
    return os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true")


def _ping(address: RayAddress, token: str) -> Access:
    try:
        import grpc
    except ImportError as error:
        raise FleetError(NOT_INSTALLED) from error

    metadata = [("client_id", "atm"), *((("authorization", f"Bearer {token}"),) if token else ())]
    # No proxy: the address is that of a cluster of one's own.
    with grpc.insecure_channel(address.target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(_METHOD)(_PING, timeout=PROBE_SECONDS, metadata=metadata)
        except grpc.RpcError as error:
            refused = error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
            return Access.REFUSED if refused else Access.UNREACHABLE
    return Access.GRANTED
