"""Credentials at rest: encrypted with a key that is not in the database.

Fernet (AES-128-CBC and HMAC-SHA-256). The key is ATM_SECRET_KEY, any text of 16 characters or more, or a file of mode
0600 in the data directory that is made when it is first needed. What was sealed with ATM_OLD_SECRET_KEY, or with the
key file before ATM_SECRET_KEY was set, still opens.
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
    """Seals the named credentials of a spec, and opens them again. Follows changes of the key file."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keys: list[Fernet] = []
        self._stamp: Stamp | None = None

    def seal(self, secrets: Mapping[str, str]) -> bytes | None:
        """The credentials, encrypted; null where there are none. Raises SettingsError, StorageUnavailableError."""
        return self._box().encrypt(json.dumps(dict(secrets)).encode()) if secrets else None

    def open(self, sealed: bytes | None) -> dict[str, str]:
        """What `seal` got. Raises StorageError `unsealable` where they were sealed with another key."""
        from cryptography.fernet import InvalidToken

        if sealed is None:
            return {}
        try:
            secrets: dict[str, str] = json.loads(self._box().decrypt(sealed))
        except InvalidToken as error:
            raise _unsealable() from error
        return secrets

    def resealed(self, sealed: bytes) -> bytes | None:
        """The same under the key that seals now; null when it is already. Raises StorageError `unsealable`."""
        from cryptography.fernet import InvalidToken

        box = self._box()
        try:
            self._keys[0].decrypt(sealed)
        except InvalidToken:
            try:
                return box.rotate(sealed)
            except InvalidToken as error:
                raise _unsealable() from error
        return None

    def _box(self) -> MultiFernet:
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
        """The key that seals, then those that only open."""
        given = (("ATM_SECRET_KEY", self._settings.secret_key), ("ATM_OLD_SECRET_KEY", self._settings.old_secret_key))
        current, *old = [_derived(variable, secret) for variable, secret in given]
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
            Problem(what, "weak_secret_key", path=variable, hint="openssl rand -hex 32 makes a good one")
        )
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())


def _unsealable() -> StorageError:
    hint = "set ATM_OLD_SECRET_KEY to the key of that time, restore its key file, or send the credentials again"
    return StorageError(Problem("the credentials were sealed with another key", "unsealable", hint=hint))
