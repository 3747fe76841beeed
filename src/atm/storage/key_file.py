"""The key file: one sealing key per line, more than one during a rotation.

The first key encrypts, all of them decrypt. The file is replaced atomically.
"""

from __future__ import annotations

import os
from pathlib import Path

from atm.errors import Problem, SettingsError
from atm.private_files import make_directory

Stamp = tuple[int, int, int]


def stamp_of(path: Path) -> Stamp | None:
    """Return a stamp that changes when the file is replaced; None without a file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def keys_of(path: Path) -> list[bytes]:
    """Return the keys in the file, the sealing key first, creating the file on first use.

    Raises SettingsError when other users can read it, and OSError.
    """
    from cryptography.fernet import Fernet

    make_directory(path.parent)
    if not path.exists():
        temporary = _written(path, [Fernet.generate_key()])
        try:
            # A link fails when the file exists, so an existing key is never replaced.
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    mode = path.stat().st_mode & 0o077
    if mode:
        what = f"the key file is readable by other users (mode {path.stat().st_mode & 0o777:o})"
        raise SettingsError(Problem(what, "open_key_file", place=str(path), hint=f"chmod 600 {path}"))
    return path.read_bytes().split()


def begin_rotation(path: Path) -> bool:
    """Put a new key before the old one; return false if a rotation was interrupted, whose new key is then used.

    Raises OSError.
    """
    from cryptography.fernet import Fernet

    keys = keys_of(path)
    if len(keys) > 1:
        return False
    _written(path, [Fernet.generate_key(), *keys]).replace(path)
    return True


def finish_rotation(path: Path) -> None:
    """Keep only the new key in the file. Raises OSError."""
    _written(path, keys_of(path)[:1]).replace(path)


def _written(path: Path, keys: list[bytes]) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"\n".join(keys))
        file.flush()
        os.fsync(file.fileno())
    return temporary
