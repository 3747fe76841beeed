"""The environment in one place: names of the first design, lists, durations, and messages that name the variable."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from atm import data_directory
from atm.config import StorageType, load_settings
from atm.errors import SettingsError


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("ATM_", "API_TEST_MACHINE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.chdir(tmp_path)


def test_the_names_of_the_first_design_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = {
        "API_TEST_MACHINE_API_KEY": "b7Qm2xVt9KsLw4Zr8NcFy6Hd",
        "ATM_API_URL": "http://127.0.0.1:8000",
        "ATM_API_KEY": "client-key",
        "ATM_DATA_DIR": str(tmp_path / "mine"),
        "ATM_STORAGE_TYPE": "json",
        "ATM_DATABASE_URL": "postgresql://user:word@host/atm",
        "ATM_DB_ECHO": "true",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.server_api_key is not None
    assert settings.server_api_key.get_secret_value() == "b7Qm2xVt9KsLw4Zr8NcFy6Hd"
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "client-key"
    assert settings.api_url == "http://127.0.0.1:8000"
    assert settings.storage_type is StorageType.JSON
    assert settings.database_file == tmp_path / "mine" / "atm.db"
    assert settings.db_echo
    for secret in ("b7Qm2xVt9KsLw4Zr8NcFy6Hd", "client-key", "word"):
        assert secret not in repr(settings)


def test_lists_are_written_with_commas_and_durations_with_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATM_ALLOWED_HOSTS", "a.example, b.example ,")
    monkeypatch.setenv("ATM_RETENTION_RUNS", "90d")
    monkeypatch.setenv("ATM_MAX_DURATION", "1.5h")
    monkeypatch.setenv("ATM_RETENTION_SECONDS", "30")
    settings = load_settings()
    assert settings.allowed_hosts == ("a.example", "b.example")
    assert settings.retention_runs == timedelta(days=90)
    assert settings.max_duration == timedelta(hours=1.5)
    assert settings.retention_seconds == timedelta(seconds=30)
    assert settings.env_allow == ()


def test_every_wrong_variable_is_named_at_once_and_no_value_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATM_STORAGE_TYPE", "s3cret-floppy")
    monkeypatch.setenv("ATM_MAX_CONCURRENT_RUNS", "0")
    monkeypatch.setenv("ATM_RETENTION_RUNS", "soon")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert sorted(problem.path for problem in caught.value.problems) == [
        "ATM_MAX_CONCURRENT_RUNS",
        "ATM_RETENTION_RUNS",
        "ATM_STORAGE_TYPE",
    ]
    assert "should be 'sqlite' or 'json'" in str(caught.value)
    assert "s3cret-floppy" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "path"), [("/atm", "/atm"), ("atm/", "/atm"), ("/tools/atm-2/", "/tools/atm-2"), ("/", ""), ("", "")]
)
def test_the_path_below_a_proxy_begins_with_a_slash_and_ends_without(
    monkeypatch: pytest.MonkeyPatch, written: str, path: str
) -> None:
    monkeypatch.setenv("ATM_ROOT_PATH", written)
    assert load_settings().root_path == path


@pytest.mark.parametrize("written", ["https://a.example/atm", "/a b", "/a//b", '/"><script>'])
def test_what_is_no_path_is_refused(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("ATM_ROOT_PATH", written)
    with pytest.raises(SettingsError, match="ATM_ROOT_PATH should be a path such as /atm"):
        load_settings()


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATM_DATABASE_URL", "")
    monkeypatch.setenv("ATM_DATA_DIR", "")
    assert load_settings().database_url is None


def test_the_data_directory_is_here_or_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert data_directory.default() == tmp_path / "share" / "api-test-machine"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "data").mkdir()
    # One of somebody else's making: tests/security/test_working_directory.py.
    assert data_directory.default() == tmp_path / "share" / "api-test-machine"
    data_directory.prepare(tmp_path / "data")
    assert data_directory.default() == tmp_path / "data"
