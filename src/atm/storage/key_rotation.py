"""Seal all stored credentials with the current key: after ATM_SECRET_KEY changed, or with a new key in the key file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from atm.config import Settings
from atm.errors import StorageError
from atm.storage.base import StorageInterface
from atm.storage.errors import unavailable
from atm.storage.key_file import begin_rotation, finish_rotation
from atm.storage.locks import locked_soon
from atm.storage.seal import Sealer

SETTLE_SECONDS = 5.0
"""Between two passes: what other processes sealed with the old key a moment before it changed is stored by then."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did."""

    resealed: int
    """Values that were sealed with an older key."""
    unreadable: int
    """Values that no known key opens; they are left as they are."""
    resumed: bool
    """Whether it completed a rotation that was interrupted."""


async def rotate_seal(
    storage: StorageInterface, settings: Settings, settle_seconds: float = SETTLE_SECONDS
) -> Rotation:
    """Make a new key when it is in the key file, seal everything with it, then remove the old key.

    Servers may run meanwhile: they read the file again when it changes. A process that is killed leaves values that
    open with one of the keys in the file; the next rotation completes what it began.

    Raises SettingsError, StorageError.
    """
    path = settings.key_file
    is_file = settings.secret_key is None
    try:
        if not is_file:
            return await _reseal_all(storage, settings, settle_seconds, resumed=False)
        async with locked_soon(path.with_name(f"{path.name}.lock")):
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
