"""End a run whose recorder died: store what is left in its spool, then finish the run with the right status."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from atm.errors import ConflictError, StaleLeaseError
from atm.runs.spool import SpoolReader, files_folder, spool_path
from atm.runs.spool_history import SpoolHistory, finish, finish_of, store
from atm.storage import StorageInterface
from atm.storage.records import Lease, LeaseState

NEVER_STARTED = "its runner never reported: the server that started it died, or could not start it"
DIED = "its runner died: no heartbeat for {seconds:.0f} s"


async def recover(
    storage: StorageInterface, spool_directory: Path, seen: LeaseState, reason: str, now: datetime
) -> bool:
    """End a run whose lease has expired; false when another process ended it or the run turned out to be alive.

    A spool on this host is replayed first, so that no measured data is lost. Raises StorageUnavailableError.
    """
    lease = Lease(seen.run_id, seen.token)
    path = spool_path(spool_directory, seen.run_id, seen.token)
    history = SpoolHistory()
    reader = SpoolReader(path)
    try:
        history.add(reader.lines())
        control = await storage.leases.control(seen.run_id)
        if control.token != seen.token:
            return False
        await store(storage, lease, history)
        if history.end is not None:
            await finish(storage, lease, finish_of(history.end))
            _remove(path)
            return True
    except StaleLeaseError:
        return False
    except (ValueError, KeyError, TypeError, ConflictError) as error:
        # The run still ends when its spool is unreadable; the file is left for inspection.
        return await storage.leases.expire(seen, f"{reason}; its spool cannot be read ({type(error).__name__})", now)
    ended = await storage.leases.expire(seen, reason, now)
    if ended:
        _remove(path)
    return ended


def _remove(spool: Path) -> None:
    shutil.rmtree(files_folder(spool), ignore_errors=True)
    spool.unlink(missing_ok=True)
