"""Saved tests in a JSON file."""

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
from atm.storage.json_files.test_files import JsonTestFiles
from atm.storage.records import checked_id, checked_tags
from atm.storage.test_configs import TestConfig, TestInHistory

_CONFIGS = DiskFormat(TestConfig)


class JsonTestConfigs:
    """The `TestConfigStore` in a JSON file."""

    def __init__(self, folder: Folder, files: JsonTestFiles) -> None:
        self._folder = folder
        self._files = files
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
            if any(other.id == config.id or other.name == config.name for other in configs):
                raise name_taken("a test", config.name)
            self._write([*configs, _cleaned(config)])

    @in_thread
    def get(self, config_id: str) -> TestConfig:
        match = next((config for config in self._read() if config.id == config_id), None)
        if match is None:
            raise test_not_found(config_id)
        return match

    @in_thread
    def named(self, name: str) -> TestConfig | None:
        return next((config for config in self._read() if config.name == name), None)

    @in_thread
    def all(self) -> tuple[TestConfig, ...]:
        return tuple(sorted(self._read(), key=lambda config: config.name))

    @in_thread
    def replace(self, config: TestConfig) -> None:
        with self._folder.changing():
            configs = self._read()
            if not any(other.id == config.id for other in configs):
                raise test_not_found(config.id)
            if any(other.name == config.name and other.id != config.id for other in configs):
                raise name_taken("a test", config.name)
            self._write([_cleaned(config) if other.id == config.id else other for other in configs])

    @in_thread
    def delete(self, config_id: str) -> None:
        with self._folder.changing():
            configs = self._read()
            kept = [config for config in configs if config.id != config_id]
            if len(kept) == len(configs):
                raise test_not_found(config_id)
            self._write(kept)
            self._files.remove_test(config_id)

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
