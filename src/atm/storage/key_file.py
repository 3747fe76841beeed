"""The file with the sealing key: one line, or two and more while a rotation is under way.

The first line seals, all of them open. The file is replaced as a whole, so a process that is killed leaves it as it was
or as it was to be.
"""

from __future__ import annotations

import os
from pathlib import Path

from atm.errors import Problem, SettingsError
from atm.private_files import make_directory

Stamp = tuple[int, int, int]


def stamp_of(path: Path) -> Stamp | None:
    """What changes when the file is replaced; None when it does not exist."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def keys_of(path: Path) -> list[bytes]:
    """The keys in the file, the sealing one first; the file is made by the first process that needs it.

    Raises SettingsError when other users may read it, and OSError.
    """
    from cryptography.fernet import Fernet

    make_directory(path.parent)
    if not path.exists():
        temporary = _written(path, [Fernet.generate_key()])
        try:
            # A link fails when the file exists: no key is ever lost.
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    mode = path.stat().st_mode & 0o077
    if mode:
        what = f"the key file may be read by others (mode {path.stat().st_mode & 0o777:o})"
        raise SettingsError(Problem(what, "open_key_file", place=str(path), hint=f"chmod 600 {path}"))
    return path.read_bytes().split()


def begin_rotation(path: Path) -> bool:
    """Put a new key before the old one. False when a rotation was interrupted: its key is the new one.

    Raises OSError.
    """
    from cryptography.fernet import Fernet

    keys = keys_of(path)
    if len(keys) > 1:
        return False
    _written(path, [Fernet.generate_key(), *keys]).replace(path)
    return True


def finish_rotation(path: Path) -> None:
    """Leave the new key alone in the file. Raises OSError."""
    _written(path, keys_of(path)[:1]).replace(path)


def _written(path: Path, keys: list[bytes]) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"\n".join(keys))
        file.flush()
        os.fsync(file.fileno())
    return temporary
