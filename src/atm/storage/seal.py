"""Encrypt stored credentials with a key that is not in the database.

Fernet (AES-128-CBC and HMAC-SHA-256). The key is ATM_SECRET_KEY, any text of 16 characters or more, or a file of mode
0600 in the data directory that is created on first use. Credentials sealed with ATM_OLD_SECRET_KEY, or with the key
file before ATM_SECRET_KEY was set, can still be opened.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import SecretStr

from atm.config import Settings
from atm.errors import Problem, SettingsError, StorageError
from atm.storage.errors import unavailable
from atm.storage.key_file import Stamp, keys_of, stamp_of

if TYPE_CHECKING:
    from cryptography.fernet import Fernet, MultiFernet

_SHORTEST = 16


class Sealer:
    """Encrypt and decrypt named credentials. Follows changes of the key file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: list[Fernet] = []
        self._stamp: Stamp | None = None

    def seal(self, secrets: Mapping[str, str]) -> bytes | None:
        """Encrypt credentials; None when there are none. Raises SettingsError, StorageUnavailableError."""
        return self._cipher().encrypt(json.dumps(dict(secrets)).encode()) if secrets else None

    def open(self, sealed: bytes | None) -> dict[str, str]:
        """Decrypt the output of `seal`. Raises StorageError `unsealable` if it was sealed with an unknown key."""
        from cryptography.fernet import InvalidToken

        if sealed is None:
            return {}
        try:
            secrets: dict[str, str] = json.loads(self._cipher().decrypt(sealed))
        except InvalidToken as error:
            raise _unsealable() from error
        return secrets

    def resealed(self, sealed: bytes) -> bytes | None:
        """Return a value sealed with the current key; None if it already is. Raises StorageError `unsealable`."""
        from cryptography.fernet import InvalidToken

        cipher = self._cipher()
        try:
            self._keys[0].decrypt(sealed)
        except InvalidToken:
            try:
                return cipher.rotate(sealed)
            except InvalidToken as error:
                raise _unsealable() from error
        return None

    def _cipher(self) -> MultiFernet:
        from cryptography.fernet import Fernet, MultiFernet

        try:
            stamp = stamp_of(self._settings.key_file)
            if not self._keys or stamp != self._stamp:
                self._keys = [Fernet(key) for key in self._all_keys(has_file=stamp is not None)]
                self._stamp = stamp_of(self._settings.key_file) if stamp is None else stamp
        except OSError as error:
            raise unavailable(error) from error
        return MultiFernet(self._keys)

    def _all_keys(self, *, has_file: bool) -> list[bytes]:
        """Return the sealing key first, then the keys that only decrypt."""
        settings = (
            ("ATM_SECRET_KEY", self._settings.secret_key),
            ("ATM_OLD_SECRET_KEY", self._settings.old_secret_key),
        )
        current, *old = [_derived(variable, secret) for variable, secret in settings]
        if current is None:
            return [*keys_of(self._settings.key_file), *(key for key in old if key)]
        return [current, *(key for key in old if key), *(keys_of(self._settings.key_file) if has_file else ())]


def _derived(variable: str, secret: SecretStr | None) -> bytes | None:
    if secret is None:
        return None
    text = secret.get_secret_value()
    if len(text) < _SHORTEST:
        what = f"{variable} has fewer than {_SHORTEST} characters"
        raise SettingsError(
            Problem(what, "weak_secret_key", path=variable, hint="generate one with `openssl rand -hex 32`")
        )
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())


def _unsealable() -> StorageError:
    hint = "set ATM_OLD_SECRET_KEY to the key that sealed them, restore its key file, or send the credentials again"
    return StorageError(Problem("the credentials were sealed with another key", "unsealable", hint=hint))
