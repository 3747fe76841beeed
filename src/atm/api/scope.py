"""Limits of a key: the tags of objects that it may change, and its runs per hour.

A key with tags is denied every changing route that is not in the tables here, so a new route is denied by default.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request

from atm.api.auth import Principal, client_address
from atm.api.deps import SAFE_METHODS
from atm.api.errors import ApiError
from atm.bootstrap import ControlPlane
from atm.errors import NotFoundError, Problem
from atm.models.figures import counted
from atm.storage.access import AuditEntry, AuditOutcome, AuditQuery

QUOTA_ACTION = "quota.run"
_FREE = frozenset(
    {"validate_spec", "import_curl_command", "preview_schedule", "create_session", "end_session", "revoke_session"}
)
"""Routes that change nothing, or only the key's own session."""
_NEW = frozenset({"create_run", "create_test", "create_schedule"})
"""Routes that create an object with the tags of the body."""
_OF_RUN = frozenset({"annotate_run", "cancel_run", "rerun", "delete_run"})
_OF_TEST = frozenset({"replace_test", "delete_test", "enable_test", "run_test", "upload_test_file", "delete_test_file"})
_OF_SCHEDULE = frozenset({"replace_schedule", "delete_schedule", "pause_schedule", "resume_schedule"})
_RETAGGED = frozenset({"annotate_run", "rerun", "replace_test", "replace_schedule"})
"""Routes that may set new tags, one of which must be the key's."""
_STARTS = frozenset({"create_run", "rerun", "run_test", "run_demo"})
"""Routes that start one run, which counts against a quota."""
_STARTS_MANY = frozenset({"run_all_tests", "create_schedule", "replace_schedule", "resume_schedule", "import_bundle"})
"""Routes that start any number of runs, which a key with a quota may not use."""


async def in_scope(request: Request) -> None:
    """Dependency of every route: check the key's tags and quota. Raises ApiError."""
    principal: Principal | None = request.scope.get("state", {}).get("principal")
    if principal is None or request.method in SAFE_METHODS:
        return
    if not principal.tags and principal.runs_per_hour is None:
        return
    name = str(getattr(request.scope.get("route"), "name", ""))
    plane: ControlPlane = request.app.state.plane
    if principal.tags and name not in _FREE:
        await _check_tags(plane, principal, name, request)
    if principal.runs_per_hour is not None and name in _STARTS | _STARTS_MANY:
        await _check_quota(plane, principal, name, request)


async def _check_tags(plane: ControlPlane, principal: Principal, name: str, request: Request) -> None:
    tag_sets: list[Iterable[str]] = []
    # Do not read a file into memory.
    body = {} if name == "upload_test_file" else await _body(request)
    try:
        if name in _OF_RUN:
            tag_sets.append((await plane.storage.runs.get(request.path_params["run_id"])).summary.tags)
        elif name in _OF_TEST:
            tag_sets.append(await _tags_of_test(plane, request.path_params["test"]))
        elif name in _OF_SCHEDULE:
            tag_sets.append((await plane.schedules.find(request.path_params["schedule"])).tags)
        elif name not in _NEW:
            raise _out_of_scope(principal, "affects several objects, or one without tags")
        if name in _NEW or (name in _RETAGGED and isinstance(body.get("tags"), list)):
            tag_sets.append(_texts(body.get("tags")))
        if name in ("create_schedule", "replace_schedule") and isinstance(body.get("test"), str):
            tag_sets.append(await _tags_of_test(plane, body["test"]))
        if name == "create_test" and isinstance(body.get("from_run"), str):
            tag_sets.append((await plane.storage.runs.get(body["from_run"])).summary.tags)
    except NotFoundError:
        # The route reports this.
        return
    if not all(set(tags) & set(principal.tags) for tags in tag_sets):
        raise _out_of_scope(principal, "has none of its tags")


async def _tags_of_test(plane: ControlPlane, test: str) -> tuple[str, ...]:
    """Return the tags of a test by its id or name."""
    from atm.api.routes.tests import find_test

    return (await find_test(plane, test)).tags


async def _check_quota(plane: ControlPlane, principal: Principal, name: str, request: Request) -> None:
    if name in _STARTS_MANY:
        what = f"the key {principal.name!r} has a run quota, so it can only start single runs"
        raise ApiError(403, Problem(what, "out_of_scope", hint="use a key without a quota"))
    assert principal.runs_per_hour is not None
    now = datetime.now(UTC)
    entry = AuditEntry(
        id=secrets.token_hex(8),
        at=now,
        actor_kind=principal.kind,
        actor=principal.name,
        source="api",
        action=QUOTA_ACTION,
        outcome=AuditOutcome.DONE,
        object_kind="key",
        object_id=principal.key_id or "",
        address=client_address(request.scope),
        key_id=principal.key_id,
        session_id=principal.session_id,
        request_id=request.scope["state"]["request_id"],
        detail="one run of the hourly quota",
    )
    query = AuditQuery(key_id=principal.key_id, action=QUOTA_ACTION, since=now - timedelta(hours=1))
    if not await plane.storage.audit.append_within(entry, query, principal.runs_per_hour):
        what = f"the key {principal.name!r} has used its quota of {counted(principal.runs_per_hour, 'run')} per hour"
        raise ApiError(429, Problem(what, "quota_used", hint="wait, or use a key with a larger quota"))


async def _body(request: Request) -> dict[str, Any]:
    """Return the body as JSON; empty if it is not JSON, which the route rejects."""
    if not request.headers.get("content-type", "").partition(";")[0].strip().endswith("json"):
        return {}
    try:
        document = json.loads(await request.body())
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _texts(value: object) -> list[str]:
    return [item.strip() for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _out_of_scope(principal: Principal, why: str) -> ApiError:
    tags = ", ".join(principal.tags)
    what = f"the key {principal.name!r} may change only objects with one of the tags {tags}; this {why}"
    return ApiError(403, Problem(what, "out_of_scope", hint="add one of the tags, or use a key without tags"))
