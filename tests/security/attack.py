"""What attacks are made with: raw requests over a socket, and programs that run as another account."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PATIENCE_SECONDS = 120.0


def raw(port: int, request: bytes, host: str = "127.0.0.1") -> tuple[int, bytes]:
    """Send these bytes, read until the server closes; the status (0 for none) and the whole answer."""
    with socket.create_connection((host, port), PATIENCE_SECONDS) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    head = answer.partition(b"\r\n")[0].split()
    return (int(head[1]) if len(head) > 1 else 0), answer


def encoded(target: bytes, method: bytes = b"GET", headers: bytes = b"", host: bytes = b"127.0.0.1") -> bytes:
    """A request that ends its connection."""
    return method + b" " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n" + headers + b"\r\n"


def other_account() -> pwd.struct_passwd:
    """An account that is not ours; skips where we cannot become it."""
    if os.geteuid() != 0:
        pytest.skip("becoming another account needs root")
    return pwd.getpwnam("nobody")


def as_other_account(program: str, *arguments: str) -> str:
    """What a program prints that runs as another account of this machine."""
    account = other_account()
    done = subprocess.run(
        # The system's Python: ours may lie where that account cannot read.
        [readable_python(), "-I", "-c", program, *arguments],
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def readable_python() -> str:
    system = "/usr/bin/python3"
    return system if os.path.exists(system) else os.path.realpath(sys.executable)


def command(data_dir: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `atm` says on the machine of the server."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ATM_", "API_TEST"))}
    return subprocess.run(
        [sys.executable, "-m", "atm", *arguments],
        env={**inherited, "ATM_DATA_DIR": str(data_dir), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
