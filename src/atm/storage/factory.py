"""Open, create or upgrade the storage named by the settings."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from atm import data_directory
from atm.config import Settings, StorageType

if TYPE_CHECKING:
    from atm.storage.base import StorageInterface


async def open_storage(settings: Settings) -> StorageInterface:
    """Open the storage of the settings; SQLite and JSON files are created or upgraded first.

    With several worker processes the parent opens and closes it once before they start, so that it is ready for them.
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
    """Upgrade the storage to the schema of this version (`atm db upgrade`), and return its new revision.

    Raises SettingsError, SchemaError (created by a newer version), StorageUnavailableError.
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
    """Prepare the data directory if the storage is in it."""
    if settings.storage_type is StorageType.JSON or settings.database_url is None:
        from atm.storage.json_files.files import translated

        with translated():
            await asyncio.to_thread(data_directory.prepare, settings.data_dir)
