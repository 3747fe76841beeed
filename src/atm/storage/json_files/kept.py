"""Test configurations and API keys in JSON files: one document each, few things in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from atm.access.names import look_of
from atm.storage.disk_format import DiskFormat
from atm.storage.json_files.files import (
    in_thread,
    read_records,
    write_records,
)
from atm.storage.json_files.state import Folder
from atm.storage.problems import key_not_found, keys_in_use, name_taken, test_not_found
from atm.storage.records import ApiKey, TestConfig, TestInHistory, checked_id, checked_tags

_CONFIGS = DiskFormat(TestConfig)
_KEYS = DiskFormat(ApiKey)


class JsonTestConfigs:
    """`TestConfigStore` in a JSON file."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._path = folder.root / "tests.json"

    def _read(self) -> list[TestConfig]:
        return read_records(_CONFIGS, self._path)

    def _write(self, configs: Sequence[TestConfig]) -> None:
        write_records(_CONFIGS, self._path, configs)

    @in_thread
    def add(self, config: TestConfig) -> None:
        checked_id(config.id)
        with self._folder.changing():
            configs = self._read()
            if any(each.id == config.id or each.name == config.name for each in configs):
                raise name_taken("a test", config.name)
            self._write([*configs, _cleaned(config)])

    @in_thread
    def get(self, config_id: str) -> TestConfig:
        found = next((each for each in self._read() if each.id == config_id), None)
        if found is None:
            raise test_not_found(config_id)
        return found

    @in_thread
    def named(self, name: str) -> TestConfig | None:
        return next((each for each in self._read() if each.name == name), None)

    @in_thread
    def all(self) -> tuple[TestConfig, ...]:
        return tuple(sorted(self._read(), key=lambda each: each.name))

    @in_thread
    def replace(self, config: TestConfig) -> None:
        with self._folder.changing():
            configs = self._read()
            if not any(each.id == config.id for each in configs):
                raise test_not_found(config.id)
            if any(each.name == config.name and each.id != config.id for each in configs):
                raise name_taken("a test", config.name)
            self._write([_cleaned(config) if each.id == config.id else each for each in configs])

    @in_thread
    def delete(self, config_id: str) -> None:
        with self._folder.changing():
            configs = self._read()
            kept = [each for each in configs if each.id != config_id]
            if len(kept) == len(configs):
                raise test_not_found(config_id)
            self._write(kept)

    @in_thread
    def in_history(self) -> tuple[TestInHistory, ...]:
        by_name: dict[str, list[Any]] = {}
        for state in self._folder.states():
            by_name.setdefault(state.summary.name, []).append(state.summary)
        return tuple(
            TestInHistory(name, len(runs), max(runs, key=lambda run: (run.created_at, run.id)))
            for name, runs in sorted(by_name.items())
        )


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


def _cleaned(config: TestConfig) -> TestConfig:
    return replace(config, tags=checked_tags(config.tags))
