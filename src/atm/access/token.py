"""The local token: authenticates processes of the same account on systems that do not report connection owners.

The server writes it into its data directory, readable only by its own account; the command line and the MCP server
of that account read it from there.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from urllib.parse import urlsplit

from atm.access.loopback import is_loopback
from atm.errors import Problem, SettingsError

FILE_NAME = "local.token"
_RANDOM_BYTES = 32


def local_token(data_dir: Path) -> str:
    """Return the token of this installation, creating it on first use.

    Raises SettingsError when other accounts can read or own the file, and OSError.
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
            # A link fails when the file exists, so the token of another process is never replaced.
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    token = _read(path)
    if token is None:
        what = f"the local token file is readable by other accounts, or owned by another one: {path}"
        raise SettingsError(Problem(what, "open_token_file", place=str(path), hint=f"remove it, or chmod 600 {path}"))
    return token


def token_for(url: str, data_dir: Path) -> str | None:
    """Return the token for a server at this URL: only for one on this machine, and only from our own file."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    if not is_loopback(host):
        return None
    try:
        return _read(data_dir / FILE_NAME)
    except OSError:
        return None


def _read(path: Path) -> str | None:
    """Return the token in the file; None when another account can read or write it. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, encoding="ascii") as file:
        status = os.fstat(descriptor)
        is_ours = status.st_uid == os.geteuid() and not status.st_mode & 0o077 and stat.S_ISREG(status.st_mode)
        return (file.read(256).strip() or None) if is_ours else None
