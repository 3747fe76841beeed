"""API keys in one JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from atm.access.names import look_of
from atm.storage.disk_format import DiskFormat
from atm.storage.errors import key_not_found, keys_in_use, name_taken
from atm.storage.json_files.files import (
    in_thread,
    read_records,
    write_records,
)
from atm.storage.json_files.state import Folder
from atm.storage.records import ApiKey, TestConfig, checked_id

_CONFIGS = DiskFormat(TestConfig)
_KEYS = DiskFormat(ApiKey)


class JsonApiKeys:
    """`ApiKeyStore` in a JSON file that only its owner may read."""

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
            in_use = {look_of(each.name) for each in keys if each.revoked_at is None}
            taken = any(each.id == key.id or each.key_hash == key.key_hash for each in keys)
            if taken or look_of(key.name) in in_use:
                raise name_taken("an API key", key.name)
            self._write([*keys, key])

    @in_thread
    def by_hash(self, key_hash: str) -> ApiKey | None:
        return next((each for each in self._read() if each.key_hash == key_hash and each.revoked_at is None), None)

    @in_thread
    def all(self) -> tuple[ApiKey, ...]:
        return tuple(sorted(self._read(), key=lambda each: (each.created_at, each.id)))

    @in_thread
    def used(self, key_id: str, at: datetime) -> None:
        with self._folder.changing():
            self._write([replace(each, last_used_at=at) if each.id == key_id else each for each in self._read()])

    @in_thread
    def revoke(self, key_id: str, at: datetime) -> None:
        with self._folder.changing():
            keys = self._read()
            if not any(each.id == key_id for each in keys):
                raise key_not_found(key_id)
            self._write(
                [replace(each, revoked_at=each.revoked_at or at) if each.id == key_id else each for each in keys]
            )

    @in_thread
    def is_closed(self) -> bool:
        return any(each.released_at is None for each in self._read())

    @in_thread
    def release(self, at: datetime) -> None:
        with self._folder.changing():
            keys = self._read()
            if any(each.revoked_at is None for each in keys):
                raise keys_in_use()
            self._write([replace(each, released_at=each.released_at or at) for each in keys])
