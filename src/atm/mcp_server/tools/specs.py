"""Tools that create, validate, import and store specs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import Field

from atm.client import ControlClient
from atm.errors import ApiRefusedError, ConflictError, Problem, SpecError
from atm.mcp_server import arguments as a
from atm.mcp_server import summaries
from atm.mcp_server.answers import PlanBounds, SpecAnswer, TestEntry, TestsAnswer
from atm.mcp_server.limits import Demand
from atm.mcp_server.services import ToolServices
from atm.mcp_server.tool import READ_ONLY, READS, StrictTool, answer, tool
from atm.mcp_server.untrusted_text import cleaned, cleaned_tree, quoted, without_credentials
from atm.models import figures
from atm.models.control.errors import ErrorEntry
from atm.models.control.specs import PlanView
from atm.models.control.tests import TestView
from atm.plan.spec_mask import masked_spec

WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
"""Destructive, because `replace` overwrites a stored test."""
Save = Annotated[bool, Field(description="true: store it as a test, to run by name or by schedule.")]
Replace = Annotated[bool, Field(description="true: replace a stored test of the same name.")]
MOST_PROBLEMS = 8


class SpecTools:
    """The tools for specs."""

    def __init__(self, services: ToolServices) -> None:
        self._services = services

    async def create_test_spec(
        self,
        context: Context[Any, Any],
        described: a.TestArguments,
        description: Annotated[str, Field(max_length=2000, description="For people.")] = "",
        tags: a.Tags = [],  # noqa: B006  (never changed; a schema's default)
        save: Save = False,
        replace: Replace = False,
    ) -> Annotated[CallToolResult, SpecAnswer]:
        """Create a test spec from arguments and validate it, without running it: returns the spec and the bounds of its
        load. With save=true it is stored under its name, for run_api_test(test=…) and create_schedule."""
        control = await self._services.control()
        document = described.document()
        checked = await self._checked(control, document)
        if save:
            checked = await self._store(context, control, document, checked, description, tags, replace=replace)
        return _answer(checked)

    async def validate_spec(
        self,
        spec: Annotated[dict[str, Any] | str, Field(description="A test spec, as an object or as YAML text.")],
    ) -> Annotated[CallToolResult, SpecAnswer]:
        """Validate a test spec: returns every problem with its place and a hint, or the bounds of its load. Sends
        nothing."""
        return _answer(await self._checked(await self._services.control(), a.spec_of(spec, {})))

    async def import_curl(
        self,
        context: Context[Any, Any],
        command: Annotated[
            str,
            Field(
                min_length=1,
                max_length=200_000,
                description="A curl command line.",
                examples=["curl -X POST https://api.example.com/orders -d '{}'"],
            ),
        ],
        name: a.Name = None,
        save: Save = False,
        replace: Replace = False,
    ) -> Annotated[CallToolResult, SpecAnswer]:
        """Convert a curl command line into a test spec. Credentials in it are shown as ***: to run it with them, store
        it (save=true) and run it by name."""
        control = await self._services.control()
        imported = await control.import_curl(command, name=name)
        checked = await self._checked(control, imported.spec)
        checked = checked.model_copy(
            update={"notes": [*(cleaned(note, 300) for note in imported.notes), *checked.notes]}
        )
        if save:
            checked = await self._store(context, control, imported.spec, checked, "", [], replace=replace)
        return _answer(checked)

    async def list_tests(self) -> Annotated[CallToolResult, TestsAnswer]:
        """List the stored tests by name, each with its newest run. Run one with run_api_test(test=name)."""
        control = await self._services.control()
        tests = (await control.tests()).tests
        lines = [f"{len(tests)} stored tests"] + [_test_line(test) for test in tests]
        if not tests:
            lines = ["no stored tests yet; create_test_spec with save=true stores one"]
        entries = [
            TestEntry(
                name=cleaned(test.name, 256),
                description=cleaned(test.description, 500),
                enabled=test.enabled,
                tags=[cleaned(tag, 128) for tag in test.tags],
                runs=test.runs,
                last_run_id=test.last_run.id if test.last_run else None,
                last_status=test.last_run.status if test.last_run else None,
                last_outcome=test.last_run.outcome if test.last_run else None,
                last_passed=test.last_run.passed if test.last_run else None,
            )
            for test in tests
        ]
        return answer("\n".join(lines), TestsAnswer(tests=entries))

    async def _checked(self, control: ControlClient, spec: Mapping[str, Any]) -> SpecAnswer:
        """Validate a spec on the server and against the list of targets."""
        validation = await control.validate(spec)
        shown = cleaned_tree(masked_spec(spec))
        if validation.plan is None:
            return SpecAnswer(valid=False, spec=shown, problems=[_clean(entry) for entry in validation.errors])
        limits = self._services.limits
        problems: list[ErrorEntry] = []
        try:
            self._services.gate.check_targets(validation.plan)
        except SpecError as error:
            entries = [ErrorEntry(message=p.what, code=p.code, path=p.path, hint=p.hint) for p in error.problems]
            problems = [_clean(entry) for entry in entries]
        bounded = limits.bounded(spec, validation.plan)
        plan = validation.plan
        notes = [
            without_credentials(f"{note.message}{f' ({note.hint})' if note.hint else ''}", 300)
            for note in validation.notes
        ]
        if bounded != dict(spec):
            again = (await control.validate(bounded)).plan
            plan = again if again is not None else plan
            added = ", ".join(f"{key} {value:g}" for key, value in bounded.items() if key not in spec)
            notes.append(f"the spec has no end; run_api_test would add {added}")
        return SpecAnswer(
            valid=not problems,
            spec=shown,
            problems=problems,
            notes=notes,
            plan=_bounds(plan),
            beyond_limits=[str(excess) for excess in limits.excess_of_call(Demand.of(plan))],
        )

    async def _store(
        self,
        context: Context[Any, Any],
        control: ControlClient,
        spec: Mapping[str, Any],
        checked: SpecAnswer,
        description: str,
        tags: list[str],
        *,
        replace: bool,
    ) -> SpecAnswer:
        """Store the spec as a test. Raises SpecError with its problems, ConflictError if the name is taken."""
        if self._services.limits.read_only:
            raise ApiRefusedError(READ_ONLY)
        if not checked.valid:
            raise SpecError([Problem(e.message, e.code, path=e.path, hint=e.hint) for e in checked.problems])
        gate, name = self._services.gate, str(spec["name"])
        # Store it with limits: others may run the stored test, too, without this gate.
        bounded = await gate.allow(context, control, spec, action="store the load test {test} for later runs")
        before = next((test for test in (await control.tests()).tests if test.name == name), None)
        if before is None:
            stored = await control.create_test(bounded, description=description, tags=tags)
        elif not replace:
            hint = "replace=true replaces it; another name keeps both"
            raise ConflictError(Problem(f"a test {name!r} already exists", "test_exists", path="name", hint=hint))
        else:
            await self._check_schedules(context, control, before)
            stored = await control.replace_test(before.id, bounded, description=description, tags=tags)
        return checked.model_copy(update={"saved_as": stored.name, "spec": cleaned_tree(stored.spec)})

    async def _check_schedules(self, context: Context[Any, Any], control: ControlClient, test: TestView) -> None:
        """Ask for confirmation before changing a test that schedules run."""
        schedules = (await control.schedules.all()).schedules
        using = [schedule.name for schedule in schedules if schedule.test in (test.name, test.id)]
        if using:
            action = f"replace the test {summaries.name(test.name)}"
            why = f"changes what the schedules {', '.join(summaries.name(name) for name in using)} run"
            await self._services.gate.confirm(context, action, why, "do it, or store it under another name")


def _clean(entry: ErrorEntry) -> ErrorEntry:
    """Mask credentials in a problem, which may quote a URL."""
    return ErrorEntry(
        message=without_credentials(entry.message, 300),
        code=entry.code,
        path=cleaned(entry.path, 100),
        hint=without_credentials(entry.hint, 200),
    )


def _bounds(plan: PlanView) -> PlanBounds:
    return PlanBounds(
        model=plan.model,
        endpoints=[cleaned(endpoint, 200) for endpoint in plan.endpoints],
        hosts=[cleaned(host, 300) for host in plan.hosts],
        peak=plan.peak,
        most_seconds=plan.most_seconds,
        most_requests=plan.most_requests,
    )


def _answer(checked: SpecAnswer) -> CallToolResult:
    lines = []
    if not checked.valid:
        lines.append(f"NOT VALID: {figures.counted(len(checked.problems), 'problem')}")
        for problem in checked.problems[:MOST_PROBLEMS]:
            where = f" (at {problem.path})" if problem.path else ""
            lines.append(f"- {problem.message}{where}{f'; {problem.hint}' if problem.hint else ''}")
    elif checked.plan is not None:
        lines.append(f"VALID: {_in_words(checked.plan)}")
    if checked.saved_as is not None:
        lines.append(f"stored as {quoted(checked.saved_as, 256)}: run_api_test(test={quoted(checked.saved_as, 256)})")
    elif checked.valid:
        lines.append("next: run_api_test(spec=…) with this spec, or save=true to store it")
    lines += [f"note: {note}" for note in checked.notes]
    if checked.beyond_limits:
        lines.append("exceeds the limits for agents, so a run asks a person first:")
        lines += [f"- {excess}" for excess in checked.beyond_limits]
    return answer("\n".join(lines), checked)


def _in_words(plan: PlanBounds) -> str:
    peak = f"{figures.rate(plan.peak)} requests/s" if plan.model == "open" else f"{plan.peak:g} users"
    seconds = "" if plan.most_seconds is None else f", at most {figures.planned(plan.most_seconds)}"
    requests = "" if plan.most_requests is None else f", at most {figures.counted(plan.most_requests, 'request')}"
    hosts = ", ".join(quoted(host, 80) for host in plan.hosts)
    endpoints = figures.counted(len(plan.endpoints), "endpoint")
    return f"{plan.model} model, up to {peak}{seconds}{requests}, {endpoints} on {hosts}"


def _test_line(test: TestView) -> str:
    state = "" if test.enabled else ", disabled"
    last = f"; last: {summaries.short(test.last_run)}" if test.last_run else "; never run"
    return f"- {summaries.name(test.name)}, {figures.counted(test.runs, 'run')}{state}{last}"


def tools(services: ToolServices) -> list[StrictTool]:
    """Return the tools of this module."""
    group = SpecTools(services)
    writes = READS if services.limits.read_only else WRITES
    example = 'name="checkout", url="http://127.0.0.1:8080/cart", requests_per_second=20, duration="10s"'
    curl = "command=\"curl http://127.0.0.1:8080/users -H 'Accept: application/json'\""
    spec = 'spec={"name": "checkout", "url": "http://127.0.0.1:8080/cart", "total_requests": 100}'
    return [
        tool(group.create_test_spec, title="Create a test spec", annotations=writes, example=example),
        tool(group.validate_spec, title="Validate a test spec", annotations=READS, example=spec),
        tool(group.import_curl, title="Import a curl command", annotations=writes, example=curl),
        tool(group.list_tests, title="List stored tests", annotations=READS),
    ]
