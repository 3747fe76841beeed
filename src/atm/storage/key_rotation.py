"""Reseal all stored credentials with the current key, after a change of ATM_SECRET_KEY or with a new key file key."""

from __future__ import annotations

import asyncio

from atm.config import Settings
from atm.dataclass import dataclass
from atm.errors import StorageError
from atm.storage.base import StorageInterface
from atm.storage.errors import unavailable
from atm.storage.key_file import begin_rotation, finish_rotation
from atm.storage.locks import locked_async
from atm.storage.seal import Sealer

SETTLE_SECONDS = 5.0
"""The pause between two passes, in which other processes store values that they sealed with the old key."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """The result of a rotation."""

    resealed: int
    """Number of values resealed from an older key."""
    unreadable: int
    """Number of values that no known key opens; they are left unchanged."""
    resumed: bool
    """Whether it completed a rotation that was interrupted."""


async def rotate_seal(
    storage: StorageInterface, settings: Settings, settle_seconds: float = SETTLE_SECONDS
) -> Rotation:
    """Reseal all values; without ATM_SECRET_KEY, with a new key in the key file, which then replaces the old one.

    Servers may run meanwhile, as they reread the file when it changes. After a kill all values open with one of the
    keys in the file, and the next rotation completes the work. Raises SettingsError, StorageError.
    """
    path = settings.key_file
    is_file = settings.secret_key is None
    try:
        if not is_file:
            return await _reseal_all(storage, settings, settle_seconds, resumed=False)
        async with locked_async(path.with_name(f"{path.name}.lock")):
            resumed = not begin_rotation(path)
            done = await _reseal_all(storage, settings, settle_seconds, resumed=resumed)
            finish_rotation(path)
            return done
    except OSError as error:
        raise unavailable(error) from error


async def _reseal_all(
    storage: StorageInterface, settings: Settings, settle_seconds: float, *, resumed: bool
) -> Rotation:
    sealer = Sealer(settings)
    unreadable: set[bytes] = set()

    def reseal(sealed: bytes) -> bytes | None:
        try:
            return sealer.resealed(sealed)
        except StorageError:
            unreadable.add(sealed)
            return None

    resealed = await storage.upkeep.reseal(reseal)
    while True:
        await asyncio.sleep(settle_seconds)
        late = await storage.upkeep.reseal(reseal)
        resealed += late
        if late == 0:
            return Rotation(resealed, len(unreadable), resumed)
