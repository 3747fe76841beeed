"""Files and directories that only this user may read: 0600 and 0700, also those that older versions made.

History holds targets, bodies and hashes of keys. Other users of the machine have no business in it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
_OTHERS = 0o077


def make_directory(path: Path) -> None:
    """Make a directory and the missing ones above it; a new one is for this user only. Raises OSError."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for new in reversed(missing):
        new.mkdir(mode=DIRECTORY_MODE, exist_ok=True)


def create_file(path: Path) -> None:
    """Make an empty file for this user only where there is none; SQLite gives its WAL the mode of the database.

    Raises OSError.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))


def private_opener(path: str, flags: int) -> int:
    """For `open(…, opener=private_opener)`: a new file is for this user only."""
    return os.open(path, flags | os.O_CLOEXEC, FILE_MODE)


def close_to_others(path: Path) -> None:
    """Take all rights of others from one file or directory of this user; links are left alone. Raises OSError."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if found.st_mode & _OTHERS and found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode):
        path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
