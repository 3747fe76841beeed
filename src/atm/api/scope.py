"""Limits of a key: the tags of objects that it may change, and its runs per hour.

A key with tags is denied every changing route that is not in the tables here, so a new route is denied by default.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import HTTPConnection, Request

from atm.api.auth import Principal, client_address
from atm.api.deps import SAFE_METHODS
from atm.api.errors import ApiError
from atm.bootstrap import ControlPlane
from atm.dataclass import dataclass
from atm.errors import NotFoundError, Problem
from atm.models.figures import counted
from atm.runs.lookup import whole_run_id
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


@dataclass(frozen=True, slots=True)
class Change:
    """A request that changes something, by REST or by GraphQL."""

    route: str
    """Name of the route."""
    parameters: Mapping[str, str]
    """Path parameters of the route."""
    body: Mapping[str, Any]


async def in_scope(request: Request) -> None:
    """Dependency of every route: check the key's tags and quota. Raises ApiError."""
    principal: Principal | None = request.scope.get("state", {}).get("principal")
    if principal is None or request.method in SAFE_METHODS or not _is_limited(principal):
        return
    name = str(getattr(request.scope.get("route"), "name", ""))
    # Do not read a file into memory.
    body = await _body(request) if principal.tags and name != "upload_test_file" else {}
    await check_change(request, principal, Change(name, request.path_params, body))


async def check_change(connection: HTTPConnection, principal: Principal, change: Change) -> None:
    """Check the key's tags and quota. Raises ApiError."""
    if not _is_limited(principal):
        return
    plane: ControlPlane = connection.app.state.plane
    if principal.tags and change.route not in _FREE:
        await _check_tags(plane, principal, change)
    if principal.runs_per_hour is not None and change.route in _STARTS | _STARTS_MANY:
        await _check_quota(plane, principal, change.route, connection)


def _is_limited(principal: Principal) -> bool:
    return bool(principal.tags) or principal.runs_per_hour is not None


async def _check_tags(plane: ControlPlane, principal: Principal, change: Change) -> None:
    tag_sets: list[Iterable[str]] = []
    name, body = change.route, change.body
    try:
        if name in _OF_RUN:
            # As the route finds it: by the start of its id, in any case.
            run_id = await whole_run_id(plane.storage, change.parameters["run_id"])
            tag_sets.append((await plane.storage.runs.get(run_id)).summary.tags)
        elif name in _OF_TEST:
            tag_sets.append(await _tags_of_test(plane, change.parameters["test"]))
        elif name in _OF_SCHEDULE:
            tag_sets.append((await plane.schedules.find(change.parameters["schedule"])).tags)
        elif name not in _NEW:
            raise _out_of_scope(principal, "affects several objects, or one without tags")
        if name in _NEW or (name in _RETAGGED and isinstance(body.get("tags"), list)):
            tag_sets.append(_texts(body.get("tags")))
        if name in ("create_schedule", "replace_schedule"):
            # Both fields name the test; with a spec, `test_name` is only that of the spec.
            tests = {body.get("test"), None if body.get("spec") else body.get("test_name")}
            tag_sets += [await _tags_of_test(plane, test) for test in tests if isinstance(test, str)]
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


async def _check_quota(plane: ControlPlane, principal: Principal, name: str, connection: HTTPConnection) -> None:
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
        address=client_address(connection.scope),
        key_id=principal.key_id,
        session_id=principal.session_id,
        request_id=connection.scope["state"]["request_id"],
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
