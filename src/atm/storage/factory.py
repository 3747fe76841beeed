"""From settings to a storage that is ready to be used."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from atm import data_directory
from atm.config import Settings, StorageType

if TYPE_CHECKING:
    from atm.storage.base import StorageInterface


async def open_storage(settings: Settings) -> StorageInterface:
    """The storage that the settings name, made or brought up to date where it is ours to do (SQLite and JSON files).

    With several worker processes the parent opens (and closes) it once before they start, so that they find it ready.
    Raises SettingsError, SchemaError, StorageUnavailableError.
    """
    await _prepare_directory(settings)
    if settings.storage_type is StorageType.JSON:
        from atm.storage.json_files.storage import JsonStorage

        return await JsonStorage.open(settings.json_dir)
    from atm.storage.sql.schema import prepare_file, url_of
    from atm.storage.sql.storage import SqlStorage

    url = url_of(settings)
    if url.get_backend_name() == "sqlite" and url.database:
        await prepare_file(Path(url.database))
    return await SqlStorage.open(url, echo=settings.db_echo)


async def upgrade_storage(settings: Settings) -> str:
    """Bring the storage to what this version reads: `atm db upgrade`. Gives the revision that it has now.

    Raises SettingsError, SchemaError (a newer version made it), StorageUnavailableError.
    """
    await _prepare_directory(settings)
    if settings.storage_type is StorageType.JSON:
        from atm.storage.json_files.storage import FORMAT, JsonStorage

        await (await JsonStorage.open(settings.json_dir)).close()
        return FORMAT
    from atm.storage.migrations import HEAD
    from atm.storage.sql.schema import prepare_file, upgrade, url_of

    url = url_of(settings)
    if url.get_backend_name() == "sqlite" and url.database:
        await prepare_file(Path(url.database))
    else:
        await upgrade(url)
    return HEAD


async def _prepare_directory(settings: Settings) -> None:
    """Where the storage is in the data directory; a database elsewhere needs none."""
    if settings.storage_type is StorageType.JSON or settings.database_url is None:
        from atm.storage.json_files.files import translated

        with translated():
            await asyncio.to_thread(data_directory.prepare, settings.data_dir)
