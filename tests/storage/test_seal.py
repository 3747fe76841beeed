"""Credentials at rest open with their own key only."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from atm.config import Settings
from atm.errors import SettingsError, StorageError
from atm.storage.seal import Sealer

SECRETS = {"auth.token": "s3cret-value", "auth.password": "grüße"}


def test_what_was_sealed_opens_again_and_shows_nothing(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    sealed = Sealer(settings).seal(SECRETS)
    assert sealed is not None
    assert b"s3cret-value" not in sealed
    assert Sealer(settings).open(sealed) == SECRETS
    assert settings.key_file.stat().st_mode & 0o777 == 0o600
    assert Sealer(settings).seal({}) is None
    assert Sealer(settings).open(None) == {}


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    sealed = Sealer(Settings(data_dir=tmp_path, secret_key=SecretStr("x" * 16))).seal(SECRETS)
    for other in (Settings(data_dir=tmp_path), Settings(data_dir=tmp_path, secret_key=SecretStr("y" * 16))):
        with pytest.raises(StorageError) as caught:
            Sealer(other).open(sealed)
        assert caught.value.problems[0].code == "unsealable"


def test_a_changed_seal_does_not_open(tmp_path: Path) -> None:
    sealer = Sealer(Settings(data_dir=tmp_path))
    sealed = sealer.seal(SECRETS)
    assert sealed is not None
    with pytest.raises(StorageError):
        sealer.open(sealed[:-1])


def test_a_short_secret_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="fewer than 16"):
        Sealer(Settings(data_dir=tmp_path, secret_key=SecretStr("short"))).seal(SECRETS)


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    Sealer(settings).seal(SECRETS)
    settings.key_file.chmod(0o644)
    with pytest.raises(SettingsError, match="mode 644"):
        Sealer(settings).seal(SECRETS)
