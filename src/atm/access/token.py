"""The local token: lets processes of one account in where the system does not say who owns a connection.

The server writes it into its data directory, readable for its own account only; the command line and the MCP server
of that account read it there.
"""

from __future__ import annotations

import os
import secrets
import stat
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from atm.errors import Problem, SettingsError

FILE_NAME = "local.token"
_RANDOM_BYTES = 32


def local_token(data_dir: Path) -> str:
    """The token of this installation, made when it is first needed.

    Raises SettingsError where the file may be read by others or is not ours, and OSError.
    """
    path = data_dir / FILE_NAME
    data_dir.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(_RANDOM_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link fails where the file exists: the token of another process is never replaced.
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    token = _read(path)
    if token is None:
        what = f"the file of the local token may be read by others, or is not ours: {path}"
        raise SettingsError(Problem(what, "open_token_file", place=str(path), hint=f"remove it, or chmod 600 {path}"))
    return token


def token_for(url: str, data_dir: Path) -> str | None:
    """The token to send to a server at this address: only to one on this machine, and only from a file of ours."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    if not _is_loopback(host):
        return None
    try:
        return _read(data_dir / FILE_NAME)
    except OSError:
        return None


def _read(path: Path) -> str | None:
    """The token in the file, unless someone else may have read or written it. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, encoding="ascii") as file:
        status = os.fstat(descriptor)
        is_ours = status.st_uid == os.geteuid() and not status.st_mode & 0o077 and stat.S_ISREG(status.st_mode)
        return (file.read(256).strip() or None) if is_ours else None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
