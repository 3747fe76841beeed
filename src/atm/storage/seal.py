"""Encrypt stored credentials with a key that is not in the database.

Fernet (AES-128-CBC and HMAC-SHA-256). The key is ATM_SECRET_KEY, any text of 16 characters or more, or a file of mode
0600 in the data directory that is created on first use.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from atm.config import Settings
from atm.errors import Problem, SettingsError, StorageError
from atm.private_files import make_directory
from atm.storage.errors import unavailable

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

_SHORTEST = 16


class Sealer:
    """Encrypt and decrypt named credentials."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._fernet: Fernet | None = None

    def seal(self, secrets: Mapping[str, str]) -> bytes | None:
        """Encrypt credentials; None when there are none. Raises SettingsError, StorageUnavailableError."""
        return self._cipher().encrypt(json.dumps(dict(secrets)).encode()) if secrets else None

    def open(self, sealed: bytes | None) -> dict[str, str]:
        """Decrypt the output of `seal`. Raises StorageError `unsealable` if it was sealed with another key."""
        from cryptography.fernet import InvalidToken

        if sealed is None:
            return {}
        try:
            secrets: dict[str, str] = json.loads(self._cipher().decrypt(sealed))
        except InvalidToken as error:
            hint = "use the ATM_SECRET_KEY or key file that sealed them, or send the credentials again"
            raise StorageError(
                Problem("the credentials were sealed with another key", "unsealable", hint=hint)
            ) from error
        return secrets

    def _cipher(self) -> Fernet:
        from cryptography.fernet import Fernet

        if self._fernet is None:
            self._fernet = Fernet(self._key())
        return self._fernet

    def _key(self) -> bytes:
        given = self._settings.secret_key
        if given is not None:
            text = given.get_secret_value()
            if len(text) < _SHORTEST:
                what = f"ATM_SECRET_KEY has fewer than {_SHORTEST} characters"
                hint = "generate one with `openssl rand -hex 32`"
                raise SettingsError(Problem(what, "weak_secret_key", path="ATM_SECRET_KEY", hint=hint))
            return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        try:
            return _key_of(self._settings.key_file)
        except OSError as error:
            raise unavailable(error) from error


def _key_of(path: Path) -> bytes:
    """Return the key in the file, which is created if missing."""
    from cryptography.fernet import Fernet

    make_directory(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    if not path.exists():
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
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
    return path.read_bytes().strip()
