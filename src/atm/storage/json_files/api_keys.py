"""API keys in one JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from atm.access.names import look_of
from atm.storage.api_keys import ApiKey
from atm.storage.disk_format import DiskFormat
from atm.storage.errors import key_not_found, keys_in_use, name_taken
from atm.storage.json_files.files import (
    in_thread,
    read_records,
    write_records,
)
from atm.storage.json_files.state import Folder
from atm.storage.records import checked_id

_KEYS = DiskFormat(ApiKey)


class JsonApiKeys:
    """The `ApiKeyStore` in a JSON file with mode 0600."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._path = folder.root / "keys.json"

    def _read(self) -> list[ApiKey]:
        return read_records(_KEYS, self._path)

    def _write(self, keys: Sequence[ApiKey]) -> None:
        write_records(_KEYS, self._path, keys)

    @in_thread
    def add(self, key: ApiKey) -> None:
        checked_id(key.id)
        with self._folder.changing():
            keys = self._read()
            in_use = {look_of(stored.name) for stored in keys if stored.revoked_at is None}
            exists = any(stored.id == key.id or stored.key_hash == key.key_hash for stored in keys)
            if exists or look_of(key.name) in in_use:
                raise name_taken("an API key", key.name)
            self._write([*keys, key])

    @in_thread
    def by_hash(self, key_hash: str) -> ApiKey | None:
        return next((key for key in self._read() if key.key_hash == key_hash and key.revoked_at is None), None)

    @in_thread
    def all(self) -> tuple[ApiKey, ...]:
        return tuple(sorted(self._read(), key=lambda key: (key.created_at, key.id)))

    @in_thread
    def used(self, key_id: str, at: datetime) -> None:
        with self._folder.changing():
            self._write([replace(key, last_used_at=at) if key.id == key_id else key for key in self._read()])

    @in_thread
    def revoke(self, key_id: str, at: datetime) -> None:
        with self._folder.changing():
            keys = self._read()
            if not any(key.id == key_id for key in keys):
                raise key_not_found(key_id)
            self._write([replace(key, revoked_at=key.revoked_at or at) if key.id == key_id else key for key in keys])

    @in_thread
    def is_closed(self) -> bool:
        return any(key.released_at is None for key in self._read())

    @in_thread
    def release(self, at: datetime) -> None:
        with self._folder.changing():
            keys = self._read()
            if any(key.revoked_at is None for key in keys):
                raise keys_in_use()
            self._write([replace(key, released_at=key.released_at or at) for key in keys])
