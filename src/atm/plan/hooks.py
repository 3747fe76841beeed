"""Compile `setup` and `teardown`: steps that run once, before and after the load, each as a plan of its own.

The plan of a hook has one user and one iteration. Values that `setup` extracts are variables of the load and of
`teardown`: their templates refer to slots called `setup.NAME`, which are filled in before the load starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Final, Literal

from atm.dataclass import dataclass
from atm.models.auth import FetchedCredential
from atm.models.fields import Findings, Path
from atm.models.scenario import ScenarioSpec
from atm.models.spec import TestSpec
from atm.plan.checks import MOST_NAMES, Checks
from atm.plan.connections import Connections, Origin
from atm.plan.files import Files
from atm.plan.load_plan import Flow, Lane, Load, LoadPlan, Sampling, Segment
from atm.plan.program import DataTable, Slot
from atm.plan.requests import Around, Requests
from atm.plan.step_names import StepNames
from atm.plan.steps import StepCompiler, requests_in
from atm.plan.template_parts import TextSource, ValuePart
from atm.plan.templates import SETUP_SLOT, Names
from atm.plan.user_slots import user_slots
from atm.plan.values import Scope

SETUP: Final = "setup"
TEARDOWN: Final = "teardown"


@dataclass(frozen=True, slots=True)
class CompiledHook:
    """`setup` or `teardown`: its plan, and what the plan does not say."""

    plan: LoadPlan
    tolerated: tuple[int, ...] = ()
    """The endpoints of its plan whose failures do not fail the hook, because the spec says `on_fail: continue`."""
    timeout_ns: int | None = None
    """The time limit of the whole hook; None for none."""
    environment_hosts: tuple[tuple[str, ...], ...] = ()
    """As in `CompiledTest`, for the endpoints of its plan."""

    @property
    def name(self) -> str:
        """`setup` or `teardown`."""
        return self.plan.name

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The variables that its steps extract."""
        return self.plan.flows[0].slots


@dataclass(frozen=True, slots=True)
class HookSteps:
    """The compiled steps of a hook."""

    compiler: StepCompiler
    requests: Requests

    def hook(
        self, seed: int, connections: Connections, origins: tuple[Origin, ...], timeout_ns: int | None
    ) -> CompiledHook:
        """Return the hook with the connections of the load and the origins of its own requests.

        Hooks are sent over HTTP/1.1 and from the default address.
        """
        compiler = self.compiler
        steps = compiler.step_names
        flow = Flow(
            name=compiler.name,
            weight=1,
            steps=tuple(compiler.steps),
            program=tuple(compiler.operations),
            slots=tuple(compiler.scope.slots.values()),
            counters=compiler.counters,
            uses_cookies=True,
        )
        plan = LoadPlan(
            name=compiler.name,
            seed=seed,
            endpoints=tuple(request.name for request in steps.requests),
            origins=origins,
            flows=(flow,),
            lanes=(Lane(compiler.name, (0,), "round_robin", Load("closed", (Segment(1, 1, None),)), 1, None),),
            graceful_stop_ns=0,
            connections=replace(
                connections,
                http_version="1.1",
                streams_per_connection=1,
                resolve_every_ns=None,
                source_addresses=(),
            ),
            sampling=Sampling(0, 0, 0),
            checks=tuple(self.requests.checks.indices),
        )
        tolerated = tuple(index for index, (step, _) in steps.steps.items() if step.on_fail == "continue")
        hosts = tuple(hosts for _, hosts in sorted(self.requests.environment_hosts.items()))
        return CompiledHook(plan, tolerated, timeout_ns, hosts)


@dataclass(slots=True)
class Hooks:
    """Compiles the hooks of a spec in turn, collecting their credentials."""

    spec: TestSpec
    names: Names
    notes: Findings
    files: Files
    tables: Sequence[DataTable]
    used_blocks: set[str]
    _requests: list[Requests] = field(default_factory=list)

    def steps(self, name: Literal["setup", "teardown"]) -> HookSteps | None:
        """Compile the steps of a hook; None if the spec has none.

        After `setup`, its values are known to all templates that are compiled later.
        """
        written = self.spec.setup if name == SETUP else self.spec.teardown
        if not written:
            return None
        path: Path = (name,)
        names, findings = self.names, self.names.findings
        requests = Requests(self.spec, names, Checks(names, self.files.schema), self.files)
        self._requests.append(requests)
        slots = user_slots(requests_in(written, path, self.spec.blocks), self.spec, findings, names.setup_values)
        names.scope = scope = Scope(names.places, slots, hidden_tables=tuple(table.name for table in self.tables))
        # A failed step ends setup. Teardown continues, so that it leaves behind as little as possible.
        around = ScenarioSpec(steps=written, on_fail="end_iteration" if name == SETUP else "continue")
        compiler = StepCompiler(
            name=name,
            around=Around(around, path, path),
            requests=requests,
            scope=scope,
            step_names=StepNames(findings),
            blocks=self.spec.blocks,
            findings=findings,
            notes=self.notes,
            keeps_session=False,
            used_blocks=self.used_blocks,
        )
        compiler.compile(written, path)
        names.scope = None
        if name == SETUP:
            names.setup_values = slots
        self._check(compiler, requests)
        return HookSteps(compiler, requests)

    def _check(self, compiler: StepCompiler, requests: Requests) -> None:
        name, findings = compiler.name, self.names.findings
        if not compiler.steps and not findings.touch(name) and not findings.touch("blocks"):
            findings.add((name,), f"{name} has no step that sends a request", "no_request", "Add one: `- GET: /users`")
        if len(compiler.step_names.requests) + len(requests.checks.indices) > MOST_NAMES:
            what = f"{name} has more than {MOST_NAMES:,} names of steps and checks"
            findings.add((name,), what, "too_many_names", "Give steps that belong together one name in a block")

    @property
    def secrets(self) -> dict[str, str]:
        """The literal credentials of the hooks so far, by slot."""
        return {slot: value for requests in self._requests for slot, value in requests.secrets.items()}

    @property
    def credentials(self) -> dict[str, FetchedCredential]:
        """The credentials to fetch or sign for the hooks so far, by slot."""
        return {slot: value for requests in self._requests for slot, value in requests.credentials.items()}


def setup_value(part: ValuePart | None) -> str | None:
    """Return the name of the value of `setup` that a part refers to; None for any other part."""
    if part is None or not isinstance(part.source, TextSource) or not part.source.secret_slot.startswith(SETUP_SLOT):
        return None
    return part.source.secret_slot.removeprefix(SETUP_SLOT)
