"""Test configurations in one JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from atm.storage.disk_format import DiskFormat
from atm.storage.errors import name_taken, test_not_found
from atm.storage.json_files.files import (
    in_thread,
    read_records,
    write_records,
)
from atm.storage.json_files.state import Folder
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


def _cleaned(config: TestConfig) -> TestConfig:
    return replace(config, tags=checked_tags(config.tags))
