"""Create private files and directories (0600 and 0700), and restrict those created by older versions.

The history contains targets, bodies and hashes of keys, which other users of the machine must not read.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
_OTHERS = 0o077


def make_directory(path: Path) -> None:
    """Create a directory and its missing parents, private to this user. Raises OSError."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for new in reversed(missing):
        new.mkdir(mode=DIRECTORY_MODE, exist_ok=True)


def create_file(path: Path) -> None:
    """Create an empty private file if it does not exist; SQLite gives its WAL the mode of the database.

    Raises OSError.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))


def private_opener(path: str, flags: int) -> int:
    """Open a file, creating it private to this user; for `open(…, opener=private_opener)`."""
    return os.open(path, flags | os.O_CLOEXEC, FILE_MODE)


def remove_others_permissions(path: Path) -> None:
    """Remove other users' permissions from a file or directory of this user, but not from links. Raises OSError."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if status.st_mode & _OTHERS and status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode):
        path.chmod(stat.S_IMODE(status.st_mode) & ~_OTHERS)
