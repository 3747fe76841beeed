"""What storages refuse, in the same words whichever it is."""

from __future__ import annotations

import errno

from atm.errors import (
    ConflictError,
    CorruptDataError,
    NotFoundError,
    Problem,
    SchemaError,
    StaleLeaseError,
    StorageUnavailableError,
)


def corrupt(where: str, error: Exception) -> CorruptDataError:
    """The error for data that is not what was written."""
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    hint = "restore it from a backup, or delete the run"
    return CorruptDataError(Problem(f"{where} cannot be read: {first}", "corrupt_data", place=where, hint=hint))


def newer_format(place: str, what: str) -> SchemaError:
    """The error for a file that a newer version of the program wrote."""
    hint = "install the version that wrote it, or name another folder"
    return SchemaError(Problem(what, "schema_newer", place=place, hint=hint))


def unavailable(error: OSError) -> StorageUnavailableError:
    """What a failure of the file system means to a person."""
    place = str(error.filename or "")
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        what, code = "there is no room left where the history is kept", "storage_full"
        hint = "free some space, or prune: atm db prune"
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        what, code = "the history cannot be written", "storage_read_only"
        hint = "check who may write to the file and its folder, and how the disk is mounted"
    else:
        what, code, hint = f"the history's files cannot be used: {error.strerror or error}", "storage_unavailable", ""
    return StorageUnavailableError(Problem(what, code, place=place, hint=hint))


def run_not_found(run_id: str) -> NotFoundError:
    """No run has this id."""
    return NotFoundError(Problem(f"there is no run {run_id[:64]}", "run_not_found"))


def run_exists(run_id: str) -> ConflictError:
    """A run has this id already."""
    return ConflictError(Problem(f"there is a run {run_id} already", "run_exists"))


def run_is_running(run_id: str) -> ConflictError:
    """What was asked cannot be done to a running run."""
    what = f"run {run_id} is running and cannot be deleted"
    return ConflictError(Problem(what, "run_is_running", hint=f"cancel it first: atm cancel {run_id}"))


def run_not_finished(run_id: str) -> ConflictError:
    """What was asked needs a run that has ended."""
    what = f"run {run_id} has not ended"
    return ConflictError(Problem(what, "run_not_finished", hint="wait for its end, or cancel it"))


def idempotency_conflict(run_id: str) -> ConflictError:
    """The key came with another request before."""
    what = f"this Idempotency-Key was used before for another request, which made run {run_id}"
    return ConflictError(Problem(what, "idempotency_conflict", hint="use a new key for a new request"))


def stale_lease(run_id: str) -> StaleLeaseError:
    """The token of a write is not the run's."""
    what = f"run {run_id} is no longer yours to write to: it has ended, or someone else has taken it over"
    return StaleLeaseError(Problem(what, "stale_lease"))


def sequence_gap(run_id: str, what: str, expected: int, got: int) -> ConflictError:
    """Something between what is stored and what was sent is missing."""
    said = f"{what} {got} of run {run_id} came, but {what} {expected} is the next"
    return ConflictError(Problem(said, "sequence_gap", hint="send everything again from there"))


def test_not_found(config_id: str) -> NotFoundError:
    """No test configuration has this id."""
    return NotFoundError(Problem(f"there is no test {config_id[:64]}", "test_not_found"))


def key_not_found(key_id: str) -> NotFoundError:
    """No API key has this id."""
    return NotFoundError(Problem(f"there is no API key {key_id[:64]}", "key_not_found"))


def session_not_found(session_id: str) -> NotFoundError:
    """No session that lasts has this id."""
    return NotFoundError(Problem(f"there is no session {session_id[:64]!r} that could be ended", "session_not_found"))


def keys_in_use() -> ConflictError:
    """An installation with a key cannot be opened to those without one."""
    what = "there is a key in use, so the installation stays closed to those without one"
    return ConflictError(
        Problem(what, "keys_in_use", hint="`atm keys list` names them, `atm keys revoke NAME` revokes one")
    )


def name_taken(what: str, name: str) -> ConflictError:
    """Names of this kind are unique."""
    return ConflictError(Problem(f"there is {what} named {name!r} already", "name_taken", hint="choose another name"))


def schedule_not_found(schedule_id: str) -> NotFoundError:
    """No schedule has this id."""
    hint = "`atm schedule list` shows what there is"
    return NotFoundError(Problem(f"there is no schedule {schedule_id[:64]!r}", "schedule_not_found", hint=hint))


def schedule_changed(name: str) -> ConflictError:
    """It is not as it was when it was read."""
    what = f"schedule {name!r} was changed by somebody else meanwhile"
    return ConflictError(Problem(what, "schedule_changed", hint="read it again and repeat the change"))
