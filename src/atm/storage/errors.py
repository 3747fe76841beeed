"""Build the errors of all storages, with the same texts."""

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
    """Return the error for damaged data."""
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    hint = "restore it from a backup, or delete the run"
    return CorruptDataError(Problem(f"{where} cannot be read: {first}", "corrupt_data", place=where, hint=hint))


def newer_format(place: str, what: str) -> SchemaError:
    """Return the error for a file written by a newer version of the program."""
    hint = "install the version that wrote it, or use another directory"
    return SchemaError(Problem(what, "schema_newer", place=place, hint=hint))


def unavailable(error: OSError) -> StorageUnavailableError:
    """Translate an error of the file system."""
    place = str(error.filename or "")
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        what, code = "no space left on the disk of the history", "storage_full"
        hint = "free some space, or prune: atm db prune"
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        what, code = "the history cannot be written", "storage_read_only"
        hint = "check the permissions of the file and its directory, and how the disk is mounted"
    else:
        what, code, hint = f"the history's files cannot be used: {error.strerror or error}", "storage_unavailable", ""
    return StorageUnavailableError(Problem(what, code, place=place, hint=hint))


def run_not_found(run_id: str) -> NotFoundError:
    """Return the error for an unknown run id."""
    return NotFoundError(Problem(f"there is no run {run_id[:64]}", "run_not_found"))


def run_exists(run_id: str) -> ConflictError:
    """Return the error for a run id that is in use."""
    return ConflictError(Problem(f"run {run_id} exists already", "run_exists"))


def run_is_running(run_id: str) -> ConflictError:
    """Return the error for deleting a running run."""
    what = f"run {run_id} is running and cannot be deleted"
    return ConflictError(Problem(what, "run_is_running", hint=f"cancel it first: atm cancel {run_id}"))


def run_not_finished(run_id: str) -> ConflictError:
    """Return the error for an operation that needs an ended run."""
    what = f"run {run_id} has not ended"
    return ConflictError(Problem(what, "run_not_finished", hint="wait for its end, or cancel it"))


def idempotency_conflict(run_id: str) -> ConflictError:
    """Return the error for an idempotency key that was used with another request."""
    what = f"this Idempotency-Key was used before for another request, which created run {run_id}"
    return ConflictError(Problem(what, "idempotency_conflict", hint="use a new key for a new request"))


def stale_lease(run_id: str) -> StaleLeaseError:
    """Return the error for a write with a token that no longer owns the run."""
    what = f"this process no longer owns run {run_id}: it has ended, or another process has taken it over"
    return StaleLeaseError(Problem(what, "stale_lease"))


def sequence_gap(run_id: str, what: str, expected: int, got: int) -> ConflictError:
    """Return the error for a batch that does not continue the stored data."""
    message = f"{what} {got} of run {run_id} was sent, but {what} {expected} is the next"
    return ConflictError(Problem(message, "sequence_gap", hint=f"send again from {what} {expected}"))


def test_not_found(config_id: str) -> NotFoundError:
    """Return the error for an unknown test id."""
    return NotFoundError(Problem(f"there is no test {config_id[:64]}", "test_not_found"))


def key_not_found(key_id: str) -> NotFoundError:
    """Return the error for an unknown key id."""
    return NotFoundError(Problem(f"there is no API key {key_id[:64]}", "key_not_found"))


def session_not_found(session_id: str) -> NotFoundError:
    """Return the error for an unknown or ended session."""
    return NotFoundError(Problem(f"there is no active session {session_id[:64]!r}", "session_not_found"))


def keys_in_use() -> ConflictError:
    """Return the error for opening an installation that still has an active key."""
    what = "there is an active key, so the installation stays closed to requests without one"
    return ConflictError(
        Problem(what, "keys_in_use", hint="`atm keys list` lists them, `atm keys revoke NAME` revokes one")
    )


def name_taken(what: str, name: str) -> ConflictError:
    """Return the error for a name that is in use."""
    return ConflictError(Problem(f"there is {what} named {name!r} already", "name_taken", hint="choose another name"))


def schedule_not_found(schedule_id: str) -> NotFoundError:
    """Return the error for an unknown schedule id."""
    hint = "`atm schedule list` lists them"
    return NotFoundError(Problem(f"there is no schedule {schedule_id[:64]!r}", "schedule_not_found", hint=hint))


def schedule_changed(name: str) -> ConflictError:
    """Return the error for a schedule that was changed since it was read."""
    what = f"schedule {name!r} was changed meanwhile"
    return ConflictError(Problem(what, "schedule_changed", hint="read it again and repeat the change"))
