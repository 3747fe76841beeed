"""Write, check, import and keep specs."""

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
from atm.mcp_server.tool import READ_ONLY, READS, OurTool, answer, tool
from atm.mcp_server.untrusted import cleaned, cleaned_tree, quoted, without_credentials
from atm.models import figures
from atm.models.control.errors import ErrorEntry
from atm.models.control.specs import PlanView
from atm.models.control.tests import TestView
from atm.plan.spec_mask import masked_spec

WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
"""With `replace` a test that was kept before is gone."""
Keep = Annotated[bool, Field(description="true: keep it as a test, to be run by name, by people and by schedules too.")]
Replace = Annotated[bool, Field(description="true: replace a kept test of the same name.")]
MOST_PROBLEMS = 8


class SpecTools:
    """The tools about specs."""

    def __init__(self, services: ToolServices) -> None:
        self._desk = services

    async def create_test_spec(
        self,
        context: Context[Any, Any],
        url: a.Url = None,
        method: a.Method = None,
        headers: a.Headers = None,
        body: a.Body = None,
        requests_per_second: a.Rate = None,
        users: a.Users = None,
        concurrency: a.Concurrency = None,
        duration: a.Duration = None,
        total_requests: a.Total = None,
        warm_up: a.WarmUp = None,
        thresholds: a.Thresholds = None,
        max_latency_p50_ms: a.LimitMs = None,
        max_latency_p95_ms: a.LimitMs = None,
        max_latency_p99_ms: a.LimitMs = None,
        max_error_rate: a.MaxErrorRate = None,
        expected_status_codes: a.Statuses = None,
        timeout: a.Timeout = None,
        endpoints: a.Endpoints = None,
        variables: a.Variables = None,
        auth: a.Auth = None,
        name: a.Name = None,
        spec: a.Spec = None,
        description: Annotated[str, Field(max_length=2000, description="For people.")] = "",
        tags: a.Tags = [],  # noqa: B006  (never changed; a schema's default)
        save: Keep = False,
        replace: Replace = False,
    ) -> Annotated[CallToolResult, SpecAnswer]:
        """Make a test spec of a few arguments and check it, without running it: answers with the spec and what it
        would do at most. With save=true it is kept under its name, for run_api_test(test=…) and create_schedule."""
        fields = a.fields_of(locals())
        control = await self._desk.control()
        made = a.spec_of(spec, fields)
        checked = await self._checked(control, made)
        if save:
            checked = await self._kept(context, control, made, checked, description, tags, replace=replace)
        return _told(checked)

    async def validate_spec(
        self,
        spec: Annotated[dict[str, Any] | str, Field(description="A test spec, as an object or as YAML text.")],
    ) -> Annotated[CallToolResult, SpecAnswer]:
        """Check a test spec: every problem at once with its place and a hint, or what it would do at most. Nothing
        is sent."""
        return _told(await self._checked(await self._desk.control(), a.spec_of(spec, {})))

    async def import_curl(
        self,
        context: Context[Any, Any],
        command: Annotated[
            str,
            Field(
                min_length=1,
                max_length=200_000,
                description="A curl command line, as browsers and documentation give it.",
                examples=["curl -X POST https://api.example.com/orders -d '{}'"],
            ),
        ],
        name: a.Name = None,
        save: Keep = False,
        replace: Replace = False,
    ) -> Annotated[CallToolResult, SpecAnswer]:
        """Turn a curl command line into a test spec. Credentials in it are shown as ***: to run it with them, keep
        it (save=true), and run it by name."""
        control = await self._desk.control()
        imported = await control.import_curl(command, name=name)
        checked = await self._checked(control, imported.spec)
        checked = checked.model_copy(
            update={"notes": [*(cleaned(each, 300) for each in imported.notes), *checked.notes]}
        )
        if save:
            checked = await self._kept(context, control, imported.spec, checked, "", [], replace=replace)
        return _told(checked)

    async def list_tests(self) -> Annotated[CallToolResult, TestsAnswer]:
        """The tests that are kept, by name, each with its newest run. Run one with run_api_test(test=name)."""
        control = await self._desk.control()
        kept = (await control.tests()).tests
        lines = [f"{len(kept)} kept tests"] + [_test_line(each) for each in kept]
        if not kept:
            lines = ["no test is kept yet; create_test_spec with save=true keeps one"]
        entries = [
            TestEntry(
                name=cleaned(each.name, 256),
                description=cleaned(each.description, 500),
                enabled=each.enabled,
                tags=[cleaned(tag, 128) for tag in each.tags],
                runs=each.runs,
                last_run_id=each.last_run.id if each.last_run else None,
                last_status=each.last_run.status if each.last_run else None,
                last_outcome=each.last_run.outcome if each.last_run else None,
                last_passed=each.last_run.passed if each.last_run else None,
            )
            for each in kept
        ]
        return answer("\n".join(lines), TestsAnswer(tests=entries))

    async def _checked(self, control: ControlClient, spec: Mapping[str, Any]) -> SpecAnswer:
        """A spec with all its problems, those of the target list among them."""
        found = await control.validate(spec)
        shown = cleaned_tree(masked_spec(spec))
        if found.plan is None:
            return SpecAnswer(valid=False, spec=shown, problems=[_clean(each) for each in found.errors])
        limits = self._desk.limits
        problems: list[ErrorEntry] = []
        try:
            self._desk.gate.check_targets(found.plan)
        except SpecError as error:
            entries = [ErrorEntry(message=p.what, code=p.code, path=p.path, hint=p.hint) for p in error.problems]
            problems = [_clean(each) for each in entries]
        bounded = limits.bounded(spec, found.plan)
        plan = found.plan
        notes = [
            without_credentials(f"{each.message}{f' ({each.hint})' if each.hint else ''}", 300) for each in found.notes
        ]
        if bounded != dict(spec):
            again = (await control.validate(bounded)).plan
            plan = again if again is not None else plan
            added = ", ".join(f"{key} {value:g}" for key, value in bounded.items() if key not in spec)
            notes.append(f"it names no end of its own; run_api_test would add {added}")
        return SpecAnswer(
            valid=not problems,
            spec=shown,
            problems=problems,
            notes=notes,
            plan=_bounds(plan),
            beyond_limits=[str(each) for each in limits.excess_of_call(Demand.of(plan))],
        )

    async def _kept(
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
        """Keep the spec. Raises SpecError with its problems, ConflictError where the name is taken."""
        if self._desk.limits.read_only:
            raise ApiRefusedError(READ_ONLY)
        if not checked.valid:
            raise SpecError([Problem(e.message, e.code, path=e.path, hint=e.hint) for e in checked.problems])
        gate, name = self._desk.gate, str(spec["name"])
        # A kept test may be run by others too, who know nothing of the ends that we would add.
        whole = await gate.allow(context, control, spec, wish="keep the load test {test}, to be run later")
        before = next((each for each in (await control.tests()).tests if each.name == name), None)
        if before is None:
            kept = await control.create_test(whole, description=description, tags=tags)
        elif not replace:
            hint = "replace=true replaces it; another name keeps both"
            raise ConflictError(Problem(f"a test {name!r} is kept already", "test_exists", path="name", hint=hint))
        else:
            await self._check_schedules(context, control, before)
            kept = await control.replace_test(before.id, whole, description=description, tags=tags)
        return checked.model_copy(update={"saved_as": kept.name, "spec": cleaned_tree(kept.spec)})

    async def _check_schedules(self, context: Context[Any, Any], control: ControlClient, test: TestView) -> None:
        """A test that a schedule runs is not changed behind the back of whoever made the schedule."""
        schedules = (await control.schedules.all()).schedules
        using = [each.name for each in schedules if each.test in (test.name, test.id)]
        if using:
            wish = f"replace the test {summaries.name(test.name)}"
            why = f"changes what the schedules {', '.join(summaries.name(each) for each in using)} run"
            await self._desk.gate.confirm(context, wish, why, "do it, or keep it under another name")


def _clean(each: ErrorEntry) -> ErrorEntry:
    """A problem quotes what is wrong, which may be a URL with a credential in it."""
    return ErrorEntry(
        message=without_credentials(each.message, 300),
        code=each.code,
        path=cleaned(each.path, 100),
        hint=without_credentials(each.hint, 200),
    )


def _bounds(plan: PlanView) -> PlanBounds:
    return PlanBounds(
        model=plan.model,
        endpoints=[cleaned(each, 200) for each in plan.endpoints],
        hosts=[cleaned(each, 300) for each in plan.hosts],
        peak=plan.peak,
        most_seconds=plan.most_seconds,
        most_requests=plan.most_requests,
    )


def _told(checked: SpecAnswer) -> CallToolResult:
    lines = []
    if not checked.valid:
        lines.append(f"NOT VALID: {len(checked.problems)} problems")
        for each in checked.problems[:MOST_PROBLEMS]:
            where = f" (at {each.path})" if each.path else ""
            lines.append(f"- {each.message}{where}{f'; {each.hint}' if each.hint else ''}")
    elif checked.plan is not None:
        lines.append(f"VALID: {_in_words(checked.plan)}")
    if checked.saved_as is not None:
        lines.append(f"kept as {quoted(checked.saved_as, 256)}: run_api_test(test={quoted(checked.saved_as, 256)})")
    elif checked.valid:
        lines.append("next: run_api_test(spec=…) with this spec, or save=true to keep it")
    lines += [f"note: {each}" for each in checked.notes]
    if checked.beyond_limits:
        lines.append("beyond what an agent may start by itself, so a run will ask a person first:")
        lines += [f"- {each}" for each in checked.beyond_limits]
    return answer("\n".join(lines), checked)


def _in_words(plan: PlanBounds) -> str:
    much = f"{figures.rate(plan.peak)} requests/s" if plan.model == "open" else f"{plan.peak:g} users"
    seconds = "" if plan.most_seconds is None else f", at most {figures.planned(plan.most_seconds)}"
    requests = "" if plan.most_requests is None else f", at most {figures.count(plan.most_requests)} requests"
    hosts = ", ".join(quoted(host, 80) for host in plan.hosts)
    endpoints = "1 endpoint" if len(plan.endpoints) == 1 else f"{len(plan.endpoints)} endpoints"
    return f"{plan.model} model, up to {much}{seconds}{requests}, {endpoints} on {hosts}"


def _test_line(each: TestView) -> str:
    state = "" if each.enabled else ", disabled"
    last = f"; last: {summaries.short(each.last_run)}" if each.last_run else "; never run"
    return f"- {summaries.name(each.name)}, {each.runs} runs{state}{last}"


def tools(services: ToolServices) -> list[OurTool]:
    """The tools of this module."""
    made = SpecTools(services)
    writes = READS if services.limits.read_only else WRITES
    example = 'name="checkout", url="http://127.0.0.1:8080/cart", requests_per_second=20, duration="10s"'
    curl = "command=\"curl http://127.0.0.1:8080/users -H 'Accept: application/json'\""
    spec = 'spec={"name": "checkout", "url": "http://127.0.0.1:8080/cart", "total_requests": 100}'
    return [
        tool(made.create_test_spec, title="Make a test spec", annotations=writes, example=example),
        tool(made.validate_spec, title="Check a test spec", annotations=READS, example=spec),
        tool(made.import_curl, title="A test spec from a curl command", annotations=writes, example=curl),
        tool(made.list_tests, title="The kept tests", annotations=READS),
    ]
