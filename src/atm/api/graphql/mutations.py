"""The root type of mutations: every field is a route that changes something, with the same role, limits and audit."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

import strawberry
from pydantic import BaseModel

from atm.api.audit import PARAMETERS, record
from atm.api.errors import ApiError, document, status_of
from atm.api.graphql.context import Context
from atm.api.graphql.fields import Route, answer_of, arguments_of, plain, resolved
from atm.api.routes import runs, schedules, tests
from atm.api.scope import Change, check_change
from atm.errors import AtmError, Problem
from atm.storage.api_keys import Role

COST = 20
"""Cost of a mutation: compiling a spec takes longer than a query."""
_SHOWN = {"id", "name", "runs", "created"}
"""Fields of an answer that the audit log reads."""


def _change_by(route: Route, about: str = "", **fixed: Any) -> Any:
    """Return the field for a route; `fixed` are arguments that callers cannot give."""

    async def resolve(root: None, info: strawberry.Info, **given: Any) -> Any:
        # A change that has begun is completed, also if its WebSocket closes meanwhile.
        return await asyncio.shield(_changed(info.context, route, {**given, **fixed}))

    arguments = {name: argument for name, argument in arguments_of(route).items() if name not in fixed}
    answer = get_type_hints(route, include_extras=True)["return"]
    return resolved(resolve, arguments=arguments, answer=answer, about=about or inspect.getdoc(route) or "", cost=COST)


async def _changed(context: Context, route: Route, given: Mapping[str, Any]) -> Any:
    name, principal = route.__name__, context.principal
    status, shown = 500, {}
    try:
        if not principal.may(Role.OPERATOR):
            what = f"the key {principal.name!r} is read-only"
            raise ApiError(403, Problem(what, "role_too_low", hint="use a key with the role operator"))
        change = Change(name, dict.fromkeys(PARAMETERS, given.get("id", "")), plain(given.get("input")) or {})
        await check_change(context.connection, principal, change)
        answer = await answer_of(route, context, given)
        status = 200
        shown = answer.model_dump(mode="json", include=_SHOWN) if isinstance(answer, BaseModel) else {}
    except AtmError as error:
        status = status_of(error)
        shown = {"detail": document(status, error.problems).detail}
        raise
    finally:
        await record(context.connection.scope, principal, name, str(given.get("id") or ""), status, shown)
    return answer


def mutation_type() -> Any:
    """Return the root type of mutations."""
    stop = "Stop a run: requests in flight may finish. A queued run ends at once."
    cancel = "Cancel a run at once. A run that has ended is not changed."
    fields = {
        "start_run": _change_by(runs.create_run),
        "rerun": _change_by(runs.rerun),
        "stop_run": _change_by(runs.cancel_run, stop, graceful=True),
        "cancel_run": _change_by(runs.cancel_run, cancel, graceful=False),
        "annotate_run": _change_by(runs.annotate_run),
        "delete_run": _change_by(runs.delete_run),
        "create_test": _change_by(tests.create_test),
        "replace_test": _change_by(tests.replace_test),
        "enable_test": _change_by(tests.enable_test),
        "run_test": _change_by(tests.run_test),
        "delete_test": _change_by(tests.delete_test),
        "run_all_tests": _change_by(tests.run_all_tests),
        "sync_tests": _change_by(tests.sync_tests),
        "create_schedule": _change_by(schedules.create_schedule),
        "replace_schedule": _change_by(schedules.replace_schedule),
        "pause_schedule": _change_by(schedules.pause_schedule),
        "resume_schedule": _change_by(schedules.resume_schedule),
        "delete_schedule": _change_by(schedules.delete_schedule),
    }
    about = "Changes; a key needs the role operator, and each change is in the audit log."
    return strawberry.type(type("Mutation", (), fields), name="Mutation", description=about)
