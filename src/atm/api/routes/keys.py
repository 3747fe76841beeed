"""The API keys of the installation, for admins."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Path

from atm.api.deps import Admin, Plane, ServerKeys
from atm.api.errors import bad_request
from atm.api.late_route import Routes
from atm.models.control.keys import KeyCreated, KeyList, KeyRequest, KeyView
from atm.models.control.runs import Deleted
from atm.storage.api_keys import ApiKey, KeyLimits, Role, key_in_use, new_api_key

log = logging.getLogger("atm.api")
router = Routes("keys")

_TAKEN: dict[int | str, dict[str, object]] = {409: {"description": "A key with this name already exists"}}
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"description": "The key does not exist or is revoked"}}


@router.get("/keys")
async def list_keys(plane: Plane, admin: Admin) -> KeyList:  # noqa: ARG001
    """List all keys, including revoked ones, without the keys themselves, which are not stored. For admins."""
    return KeyList(keys=[_view(key) for key in await plane.storage.keys.all()])


@router.post("/keys", status_code=201, responses=_TAKEN)
async def create_key(plane: Plane, admin: Admin, body: KeyRequest) -> KeyCreated:
    """Create a key; only this response contains it. From the first key on, every request needs one. For admins."""
    limits = KeyLimits(
        timedelta(seconds=body.expires_in_seconds) if body.expires_in_seconds is not None else None,
        tuple(body.tags),
        tuple(body.networks),
        body.runs_per_hour,
    )
    try:
        record, key = new_api_key(body.name, Role(body.role), datetime.now(UTC), limits)
    except ValueError as error:
        raise bad_request(str(error), "bad_key", "body") from error
    await plane.storage.keys.add(record)
    log.info("key %r (%s) created by %r", record.name, record.role.value, admin.name)
    return KeyCreated(**_view(record).model_dump(), key=key)


@router.delete("/keys/{key}", responses=_NOT_FOUND)
async def revoke_key(
    plane: Plane,
    keys: ServerKeys,
    admin: Admin,
    key: Annotated[str, Path(min_length=1, max_length=128, description="Id or name of the key.")],
) -> Deleted:
    """Revoke a key, its sessions and its streams, effective within two seconds. For admins.

    After the last key is revoked, requests still need one; `atm keys release` on the server's machine changes that.
    """
    record = key_in_use(await plane.storage.keys.all(), key)
    await keys.revoke(record)
    log.info("key %r revoked by %r", record.name, admin.name)
    return Deleted(id=record.id, message="the key is revoked")


def _view(key: ApiKey) -> KeyView:
    return KeyView(
        id=key.id,
        name=key.name,
        role=key.role.value,
        created_at=key.created_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
        expires_at=key.expires_at,
        tags=list(key.tags),
        networks=list(key.networks),
        runs_per_hour=key.runs_per_hour,
    )
