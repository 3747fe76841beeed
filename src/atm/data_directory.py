"""Choose and protect the data directory: private to this user, and not taken from the working directory unasked.

A cloned repository may contain a directory `data` with schedules that fire and keys that open the server. So `./data`
is the default only if this installation has used it before: a random id in it is registered, with the path of the
directory, in the user's state directory (XDG), which a repository cannot write. ATM_DATA_DIR may name any directory.
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
from atm.private_files import make_directory, private_opener, remove_others_permissions

log = logging.getLogger("atm.storage")

MARKER = "installation"
_ID = re.compile(r"[0-9a-f]{32}")
_SIGNS = (MARKER, "atm.db", "json/format.json", "secret.key", "spool")
"""Entries that mark a directory as a data directory."""
_OURS = (MARKER, "atm.db*", "*.log", "*.atm.gz")
_OUR_DIRECTORIES = ("json", "spool", "tables")


def default() -> Path:
    """Return `./data` if this installation has used it before, else `api-test-machine` in the user's data directory.

    Raises SettingsError for a `./data` that looks like a data directory but is not registered.
    """
    here = Path("data").absolute()
    if here.is_dir():
        if _is_registered(here):
            return here.resolve()
        if any((here / sign).exists() for sign in _SIGNS):
            what = "./data looks like a data directory of this program, but you have not used it before"
            hint = f"if it is yours: `export ATM_DATA_DIR=./data`; if not: `export ATM_DATA_DIR={_user_default()}`"
            raise SettingsError(Problem(what, "data_dir_not_trusted", place=str(here), hint=hint))
    return _user_default()


def prepare(directory: Path) -> None:
    """Create the directory, or remove other users' permissions from it, and register it as used.

    Raises SettingsError when it belongs to another user; OSError.
    """
    make_directory(directory)
    status = directory.stat()
    if os.geteuid() not in (0, status.st_uid) and status.st_uid != 0:
        what = f"the data directory belongs to another user (uid {status.st_uid}), who could change the tests in it"
        hint = "use a directory of your own: `export ATM_DATA_DIR=…`"
        raise SettingsError(Problem(what, "data_dir_not_trusted", path="ATM_DATA_DIR", place=str(directory), hint=hint))
    try:
        _restrict(directory, status.st_mode)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    try:
        _register(directory)
    except OSError as error:
        # A full or read-only disk, or no home directory: `./data` will need ATM_DATA_DIR next time.
        log.debug("the data directory %s could not be registered: %s", directory, error)


def _user_default() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "api-test-machine"
    return _xdg("XDG_DATA_HOME", ".local/share") / "api-test-machine"


def _installations() -> Path:
    if sys.platform == "darwin":
        return _user_default() / "installations"
    return _xdg("XDG_STATE_HOME", ".local/state") / "api-test-machine" / "installations"


def _xdg(variable: str, default_path: str) -> Path:
    base = os.environ.get(variable, "")
    return Path(base) if os.path.isabs(base) else Path.home() / default_path


def _is_registered(directory: Path) -> bool:
    try:
        is_ours = directory.stat().st_uid == os.geteuid()
        identity = _identity(directory)
        return is_ours and bool(identity) and (_installations() / identity).read_text() == str(directory.resolve())
    except OSError:
        return False


def _identity(directory: Path) -> str:
    """Return the id in a directory; empty without one."""
    try:
        text = (directory / MARKER).read_text("ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    return text if _ID.fullmatch(text) else ""


def _register(directory: Path) -> None:
    identity = _identity(directory)
    if not identity:
        identity = secrets.token_hex(16)
        _write(directory / MARKER, identity)
    # Only a directory named `data` can become the default.
    if directory.name == "data" and not _is_registered(directory):
        make_directory(_installations())
        _write(_installations() / identity, str(directory.resolve()))


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with open(temporary, "w", encoding="utf-8", opener=private_opener) as file:
        file.write(text)
    temporary.replace(path)


def _restrict(directory: Path, mode: int) -> None:
    """Remove other users' permissions from our own files only, as the directory may contain other files of the user.

    The key file is left out: `atm.storage.seal` must report one that others could read.
    """
    for path in _our_files(directory):
        remove_others_permissions(path)
    if not mode & stat.S_ISVTX and directory.resolve() != Path.home():
        remove_others_permissions(directory)


def _our_files(directory: Path) -> Iterator[Path]:
    for pattern in _OURS:
        yield from directory.glob(pattern)
    for name in _OUR_DIRECTORIES:
        folder = directory / name
        # Contents of a directory that is already private were restricted before it, or created private.
        if folder.is_dir() and not folder.is_symlink() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
            for inner, _, files in os.walk(folder, topdown=False):
                yield from (Path(inner) / file for file in files)
                yield Path(inner)
