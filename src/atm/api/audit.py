"""ASGI middleware that writes an audit entry for each request that changes something.

It wraps the guard, which sets the principal and may refuse. The entry is stored before the response is sent.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from atm.access.peers import account_name
from atm.api.auth import Principal, client_address
from atm.api.deps import SAFE_METHODS
from atm.api.local_access import PEER_OWNER
from atm.errors import AtmError
from atm.models.control.base import SOURCE_HEADER
from atm.storage import StorageInterface
from atm.storage.access import ActorKind, AuditEntry, AuditOutcome

log = logging.getLogger("atm.audit")

ACTIONS = {
    "create_run": "run.create",
    "rerun": "run.create",
    "run_test": "run.create",
    "run_demo": "run.create",
    "run_all_tests": "batch.create",
    "end_batch": "batch.cancel",
    "cancel_run": "run.cancel",
    "annotate_run": "run.annotate",
    "delete_run": "run.delete",
    "import_bundle": "run.import",
    "try_spec": "spec.try",
    "create_test": "test.create",
    "sync_tests": "test.sync",
    "replace_test": "test.replace",
    "enable_test": "test.enable",
    "delete_test": "test.delete",
    "upload_test_file": "test.upload",
    "delete_test_file": "test.delete_file",
    "create_schedule": "schedule.create",
    "replace_schedule": "schedule.replace",
    "pause_schedule": "schedule.pause",
    "resume_schedule": "schedule.resume",
    "delete_schedule": "schedule.delete",
    "create_key": "key.create",
    "revoke_key": "key.revoke",
    "create_session": "session.create",
    "end_session": "session.end",
    "revoke_session": "session.end",
}
"""Audit action by route name; for a route that is missing here, the action is its name."""
REFUSED = "request.refuse"
"""Action of a request refused by role or network before routing; the object is method and path."""
READS = frozenset({"validate_spec", "import_curl_command", "preview_schedule", "graphql"})
"""Routes with an unsafe method that change nothing; mutations write entries of their own."""
PARAMETERS = ("run_id", "batch", "test", "schedule", "key", "session_id")
"""Path parameters that identify the object."""
_MOST_READ_BYTES = 262_144
_MOST_TEXT = 500


class Audit:
    """Middleware that delays the start of a response until its audit entry is stored."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self._app(scope, receive, send)
            return
        start: Message | None = None

        async def sending(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start is not None:
                await _write(scope, start["status"], _document(start, message))
                await send(start)
                start = None
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            await _write(scope, 500, {})
            raise


async def _write(scope: Scope, status: int, document: dict[str, Any]) -> None:
    principal: Principal | None = scope.get("state", {}).get("principal")
    name = str(getattr(scope.get("route"), "name", "") or "")
    if principal is None or name in READS:
        # Unauthenticated requests are only in the request log, so that they cannot fill the storage.
        return
    # Without a route name, the guard refused the request before routing.
    parameters = scope.get("path_params", {})
    addressed = next((str(parameters[parameter]) for parameter in PARAMETERS if parameter in parameters), "")
    await record(scope, principal, name, addressed if name else f"{scope['method']} {scope['path']}", status, document)


async def record(
    scope: Scope, principal: Principal, name: str, addressed: str, status: int, document: Mapping[str, Any]
) -> None:
    """Store the entry of a change by the route `name` to the object `addressed`; `document` is the answer."""
    entry = _entry(scope, principal, name, addressed, status, document)
    storage: StorageInterface = scope["app"].state.plane.storage
    try:
        await storage.audit.append(entry)
    except AtmError as error:
        log.error("cannot store an audit entry (%s): %s", error, entry)


def _entry(
    scope: Scope, principal: Principal, name: str, addressed: str, status: int, document: Mapping[str, Any]
) -> AuditEntry:
    action = ACTIONS.get(name, name or REFUSED)
    response_id = str(document.get("id") or document.get("batch_id") or "") if status < 300 else ""
    is_new = response_id and action.endswith((".create", ".import"))
    detail = [f"of {addressed}"] if is_new and addressed and addressed != response_id else []
    if status < 300:
        detail += [text for text in (_text(document.get("name")), _list(document)) if text]
    else:
        detail.append(_text(document.get("detail")))
    return AuditEntry(
        id=secrets.token_hex(8),
        at=datetime.now(UTC),
        actor_kind=principal.kind,
        actor=_actor(scope, principal),
        source=Headers(scope=scope).get(SOURCE_HEADER, "api")[:16],
        action=action[:64],
        outcome=_outcome(status),
        object_kind=action.partition(".")[0][:32],
        object_id=_text(response_id if is_new else response_id or addressed),
        address=client_address(scope),
        key_id=principal.key_id,
        session_id=principal.session_id,
        status=status,
        request_id=scope["state"]["request_id"],
        detail="; ".join(part for part in detail if part)[:_MOST_TEXT],
    )


def _actor(scope: Scope, principal: Principal) -> str:
    owner: int | None = scope["state"].get(PEER_OWNER)
    is_account = principal.kind is ActorKind.LOCAL and owner is not None
    return account_name(owner) if is_account else principal.name


def _outcome(status: int) -> AuditOutcome:
    if status >= 500:
        return AuditOutcome.FAILED
    return AuditOutcome.REFUSED if status >= 400 else AuditOutcome.DONE


def _document(start: Message, body: Message) -> dict[str, Any]:
    """Return the response body, which has the id of a new object, if it is small JSON in one chunk; else empty."""
    content = body.get("body", b"")
    kinds = [value for name, value in start.get("headers", ()) if name.lower() == b"content-type"]
    if body.get("more_body") or len(content) > _MOST_READ_BYTES or not any(b"json" in kind for kind in kinds):
        return {}
    try:
        document = json.loads(content)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _list(document: Mapping[str, Any]) -> str:
    """Return the ids of runs or names of tests in a response about several objects."""
    runs = document.get("runs")
    if isinstance(runs, list):
        return " ".join(str(run.get("id", "")) for run in runs if isinstance(run, dict))
    created = document.get("created")
    return ", ".join(map(str, created)) if isinstance(created, list) else ""


def _text(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)[:256]
