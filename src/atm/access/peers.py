"""Identify the account of the local process that opened a TCP connection to us.

Linux reports the uid of the peer's socket over netlink (`sock_diag(7)`), exactly for one connection. Other systems have
no equivalent, and `can_identify` is false.
"""

from __future__ import annotations

import os
import pwd
import socket
import struct
import sys
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST = struct.Struct("=IHHII")
"""`struct nlmsghdr`: length, type, flags, sequence, port id."""
_HEAD = struct.Struct("=BBBBI")
"""The start of `struct inet_diag_req_v2`: family, protocol, extensions, padding, states."""
_PORTS = struct.Struct("!HH")
_SOCKET_ID_END = struct.Struct("=III")
_ANY_COOKIE = 0xFFFFFFFF
_ANSWER_FIGURES = struct.Struct("=IIIII")
"""The fields after the socket id in `struct inet_diag_msg`: expires, receive queue, send queue, uid, inode."""
_FIGURES_OFFSET = _REQUEST.size + 4 + 48
_TIMEOUT_SECONDS = 1.0

Address = tuple[str, int]


def owner_of(peer: Address, local: Address) -> int | None:
    """Return the uid of the process that opened the connection from `peer` to our socket at `local`; None if unknown.

    A socket already closed by its process is unknown too: the kernel reports uid 0 for it, so a process that sends a
    request and closes at once would pass as root.
    """
    if sys.platform != "linux":
        return None
    try:
        source, target = _plain(peer[0]), _plain(local[0])
    except ValueError:
        return None
    if source.version != target.version:
        return None
    try:
        uid, inode = _query(source, peer[1], target, local[1])
    except (OSError, struct.error):
        return None
    return uid if inode and not _is_hidden(uid) else None


def is_admitted(uid: int | None) -> bool:
    """Return whether a uid is our own account or root."""
    return uid is not None and uid in (os.geteuid(), 0)


@cache
def can_identify() -> bool:
    """Return whether this system reports the owner of a connection, tested with a connection to ourselves."""
    if sys.platform != "linux":
        return False
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname(), _TIMEOUT_SECONDS) as connection,
        ):
            return owner_of(connection.getsockname(), connection.getpeername()) == os.geteuid()
    except OSError:
        return False


def account_name(uid: int | None = None) -> str:
    """Return the name of an account, by default ours; its uid as text when it has no name."""
    number = os.geteuid() if uid is None else uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _plain(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _query(source: IPv4Address | IPv6Address, port: int, target: IPv4Address | IPv6Address, to: int) -> tuple[int, int]:
    """Return uid and inode of a socket; inode 0 when no process holds it. Raises OSError."""
    family = socket.AF_INET if source.version == 4 else socket.AF_INET6
    identity = (
        _PORTS.pack(port, to)
        + source.packed.ljust(16, b"\0")
        + target.packed.ljust(16, b"\0")
        + _SOCKET_ID_END.pack(0, _ANY_COOKIE, _ANY_COOKIE)
    )
    body = _HEAD.pack(family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF) + identity
    # NLM_F_REQUEST without a dump: exactly this socket.
    request = _REQUEST.pack(_REQUEST.size + len(body), _SOCK_DIAG_BY_FAMILY, 1, 1, 0) + body
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_NETLINK, kind, _SOCK_DIAG) as kernel:
        kernel.settimeout(_TIMEOUT_SECONDS)
        kernel.send(request)
        response, (sender, _) = kernel.recvfrom(8192)
    if sender:
        raise ConnectionError("another process answered in place of the kernel")
    if _REQUEST.unpack_from(response)[1] != _SOCK_DIAG_BY_FAMILY:
        raise ConnectionError("there is no such connection")
    _, _, _, uid, inode = _ANSWER_FIGURES.unpack_from(response, _FIGURES_OFFSET)
    return uid, inode


def _is_hidden(uid: int) -> bool:
    """Return whether a uid is the placeholder for accounts that are not mapped into our user namespace."""
    return uid == _overflow_uid() and _in_user_namespace()


@cache
def _overflow_uid() -> int:
    try:
        return int(Path("/proc/sys/kernel/overflowuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 65534


@cache
def _in_user_namespace() -> bool:
    try:
        return Path("/proc/self/uid_map").read_text(encoding="ascii").split() != ["0", "0", "4294967295"]
    except OSError:
        return True
