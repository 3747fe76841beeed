"""The data directory: for this user only, and never taken from the working directory without being asked to.

A cloned repository may hold a directory `data` with schedules that fire and keys that open the server. So `./data` is
used by itself only where this installation has used it before: a random id in it is known, with the path of the
directory, in the state directory of the user (XDG), which no repository can write to. ATM_DATA_DIR names any directory.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from atm.errors import Problem, SettingsError
from atm.private_files import close_to_others, make_directory, private_opener

log = logging.getLogger("atm.storage")

MARKER = "installation"
_ID = re.compile(r"[0-9a-f]{32}")
_SIGNS = (MARKER, "atm.db", "json/format.json", "secret.key", "spool")
"""What a data directory holds."""
_OURS = (MARKER, "atm.db*", "*.log", "*.atm.gz")
_OUR_DIRECTORIES = ("json", "spool")


def default() -> Path:
    """`./data` where this installation has used it before, else `api-test-machine` in the user's data directory.

    Raises SettingsError for a `./data` that looks like a data directory and is not known here.
    """
    here = Path("data").absolute()
    if here.is_dir():
        if _is_known(here):
            return here.resolve()
        if any((here / sign).exists() for sign in _SIGNS):
            what = "./data looks like a data directory of this program, but not like one that you have used before"
            hint = f"if it is yours: `export ATM_DATA_DIR=./data`; if not: `export ATM_DATA_DIR={_of_the_user()}`"
            raise SettingsError(Problem(what, "data_dir_not_trusted", place=str(here), hint=hint))
    return _of_the_user()


def prepare(directory: Path) -> None:
    """Make the directory, or take the rights of other users from it, and note that it is used here.

    Raises SettingsError where it belongs to another user; OSError.
    """
    make_directory(directory)
    found = directory.stat()
    if os.geteuid() not in (0, found.st_uid) and found.st_uid != 0:
        what = f"the data directory belongs to another user (uid {found.st_uid}), who could change what is run"
        hint = "name one of your own: `export ATM_DATA_DIR=…`"
        raise SettingsError(Problem(what, "data_dir_not_trusted", path="ATM_DATA_DIR", place=str(directory), hint=hint))
    try:
        _close(directory, found.st_mode)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    try:
        _note(directory)
    except OSError as error:
        # A disk that is full or mounted for reading, or no home: the next `./data` needs ATM_DATA_DIR again.
        log.debug("the data directory %s is not noted as used: %s", directory, error)


def _of_the_user() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "api-test-machine"
    return _xdg("XDG_DATA_HOME", ".local/share") / "api-test-machine"


def _installations() -> Path:
    if sys.platform == "darwin":
        return _of_the_user() / "installations"
    return _xdg("XDG_STATE_HOME", ".local/state") / "api-test-machine" / "installations"


def _xdg(variable: str, default_path: str) -> Path:
    base = os.environ.get(variable, "")
    return Path(base) if os.path.isabs(base) else Path.home() / default_path


def _is_known(directory: Path) -> bool:
    try:
        mine = directory.stat().st_uid == os.geteuid()
        identity = _identity(directory)
        return mine and bool(identity) and (_installations() / identity).read_text() == str(directory.resolve())
    except OSError:
        return False


def _identity(directory: Path) -> str:
    """The id in a directory; empty without one."""
    try:
        text = (directory / MARKER).read_text("ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    return text if _ID.fullmatch(text) else ""


def _note(directory: Path) -> None:
    identity = _identity(directory)
    if not identity:
        identity = secrets.token_hex(16)
        _write(directory / MARKER, identity)
    # Only a directory of this name is ever found by itself.
    if directory.name == "data" and not _is_known(directory):
        make_directory(_installations())
        _write(_installations() / identity, str(directory.resolve()))


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with open(temporary, "w", encoding="utf-8", opener=private_opener) as file:
        file.write(text)
    temporary.replace(path)


def _close(directory: Path, mode: int) -> None:
    """Only what is ours: a directory may be named that holds other files of the user as well.

    Not the key file: one that others could read is an error (`atm.storage.seal`), which must be seen.
    """
    for path in _our_files(directory):
        close_to_others(path)
    if not mode & stat.S_ISVTX and directory.resolve() != Path.home():
        close_to_others(directory)


def _our_files(directory: Path) -> Iterator[Path]:
    for pattern in _OURS:
        yield from directory.glob(pattern)
    for name in _OUR_DIRECTORIES:
        folder = directory / name
        # What is below a directory that is closed already was closed before it, or made for this user only.
        if folder.is_dir() and not folder.is_symlink() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
            for inner, _, files in os.walk(folder, topdown=False):
                yield from (Path(inner) / file for file in files)
                yield Path(inner)
