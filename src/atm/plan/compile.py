"""Compile a spec into a plan: decide everything that can be decided before the first request; report all problems.

`compile_plan` is pure: environment, seed and the functions that read files are arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from atm.dataclass import dataclass
from atm.errors import Problem, SpecError
from atm.models.auth import FetchedCredential
from atm.models.fields import Findings
from atm.models.spec import EndpointSpec, TestSpec
from atm.models.threshold import Threshold
from atm.plan.address_overrides import AddressOverrides
from atm.plan.checks import Checks
from atm.plan.code_hooks import CodeHooksOfSpec, OpenHooks
from atm.plan.code_scenarios import OpenCode
from atm.plan.connection_settings import ConnectionSettings
from atm.plan.connections import Connections, Origin
from atm.plan.criteria import Criteria
from atm.plan.data_tables import DataTables
from atm.plan.document import SpecDocument
from atm.plan.files import FILE_MISSING, Files, ReadFile
from atm.plan.hooks import CompiledHook, Hooks
from atm.plan.lanes import ScenarioLanes
from atm.plan.load import compile_load, nanoseconds, total_requests
from atm.plan.load_plan import Flow, Lane, LoadPlan, Step
from atm.plan.notes import plan_notes
from atm.plan.outline import scenarios_in
from atm.plan.own_metrics import OwnMetrics
from atm.plan.prepared_users import after_preparation, with_prepared_users
from atm.plan.program import RequestOp
from atm.plan.reassignment import check_reassignment
from atm.plan.requests import Requests
from atm.plan.scenarios import Scenarios
from atm.plan.secret_mask import SecretMask, secrets_of
from atm.plan.spec_mask import masked_spec, masked_url
from atm.plan.step_names import WrittenRequest, endpoint_names
from atm.plan.template_parts import BytesPart, LiteralPart, SecretPart, ValuePart
from atm.plan.templates import MayRead, Names
from atm.tables.table_request import OpenTable


@dataclass(frozen=True, slots=True)
class CompiledTest:
    """A plan, and the data that it must not contain."""

    plan: LoadPlan
    secrets: Mapping[str, str]
    """Slot to value, for secrets known at compile time."""
    credentials: Mapping[str, FetchedCredential]
    """Slot to credential, for values that must be fetched or signed; their templates are filled in."""
    spec: TestSpec
    requests: tuple[WrittenRequest, ...]
    """Each endpoint of the plan as the spec writes it."""
    notes: tuple[Problem, ...] = ()
    """Notes about allowed but probably unintended settings."""
    environment_hosts: tuple[tuple[str, ...], ...] = ()
    """For each endpoint, the environment variables used in its scheme, host and port."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The spec as plain data with literal credentials masked, as shown in results and stored."""
    setup: CompiledHook | None = None
    teardown: CompiledHook | None = None

    @property
    def plans(self) -> tuple[LoadPlan, ...]:
        """The plan of the load, and those of the hooks."""
        return (self.plan, *(hook.plan for hook in (self.setup, self.teardown) if hook is not None))


def compile_plan(
    source: SpecDocument | TestSpec | Mapping[str, Any],
    environment: Mapping[str, str],
    *,
    default_seed: int = 0,
    read_file: ReadFile | None = None,
    read_tls_file: ReadFile | None = None,
    open_table: OpenTable | None = None,
    open_code: OpenCode | None = None,
    open_hooks: OpenHooks | None = None,
    may_read: MayRead | None = None,
    files_may_be_missing: bool = False,
) -> CompiledTest:
    """Compile a spec.

    `default_seed` is used when the spec has none. `read_file` returns the bytes of a body or schema file and
    `read_tls_file` those of a TLS file; they raise OSError, or DataError for a file that must not be read; with None,
    no file may be read. `open_table` opens a table of test data; with None, files of test data are refused and rows
    of the spec only checked. `open_code` loads a function of a Python file, and `open_hooks` a file of hooks; with
    None, code is refused. `may_read` decides which environment variables `{{env:…}}` may read; None = all. With
    `files_may_be_missing`, files that the functions report as FILE_MISSING are noted; the plan is then incomplete.
    Raises SpecError with every problem of the spec.
    """
    document = _document(source)
    findings = Findings()
    spec = TestSpec.read(document.data, (), findings)
    compilation = _Compilation(
        spec, findings, environment, read_file, read_tls_file, open_table, open_code, open_hooks, may_read
    )
    plan = compilation.plan(default_seed)
    check_reassignment(spec, plan, findings)
    hooks = compilation.hooks
    secrets = {
        **compilation.names.secrets,
        **hooks.secrets,
        **compilation.requests.secrets,
        **compilation.connections.secrets,
    }
    secrets |= compilation.code_hooks.secrets
    credentials = {**hooks.credentials, **compilation.requests.credentials}
    mask = SecretMask([*compilation.names.known, *secrets.values(), *secrets_of(credentials)])
    problems = [mask.problem(problem) for problem in (*document.problems, *findings.problems(document.place))]
    tolerated = tuple(problem for problem in problems if files_may_be_missing and problem.code == FILE_MISSING)
    if len(problems) > len(tolerated):
        raise SpecError(problems)
    for remark in plan_notes(plan):
        compilation.notes.add(remark.path, remark.what, remark.code, remark.hint)
    return CompiledTest(
        plan=plan,
        secrets=secrets,
        credentials=credentials,
        spec=spec,
        notes=(*tolerated, *(mask.problem(problem) for problem in compilation.notes.problems(document.place))),
        environment_hosts=tuple(hosts for _, hosts in sorted(compilation.requests.environment_hosts.items())),
        requests=compilation.written(plan),
        data=masked_spec(spec.to_data()),
        setup=compilation.setup,
        teardown=compilation.teardown,
    )


def _document(source: SpecDocument | TestSpec | Mapping[str, Any]) -> SpecDocument:
    if isinstance(source, SpecDocument):
        return source
    return SpecDocument(source.to_data() if isinstance(source, TestSpec) else source)


class _Compilation:
    """One compilation: the spec, its findings, and the parts collected so far."""

    def __init__(
        self,
        spec: TestSpec,
        findings: Findings,
        environment: Mapping[str, str],
        read_file: ReadFile | None,
        read_tls_file: ReadFile | None,
        open_table: OpenTable | None,
        open_code: OpenCode | None,
        open_hooks: OpenHooks | None,
        may_read: MayRead | None,
    ) -> None:
        self.spec = spec
        self.findings = findings
        self.notes = Findings()
        self.names = Names(spec.variables, environment, findings, may_read, data=frozenset(spec.data))
        tls_files = Files(self.names, read_tls_file, "the working directory", "Leave it out")
        self.connections = ConnectionSettings(spec, self.names, tls_files, findings)
        files = Files(self.names, read_file)
        self.requests = Requests(spec, self.names, Checks(self.names, files.schema), files)
        self.data = DataTables(spec.data, self.names, self.notes, open_table)
        self.code_hooks = CodeHooksOfSpec(spec, self.names, self.notes, open_hooks)
        self.own_metrics = OwnMetrics(findings)
        self.scenarios = Scenarios(
            spec,
            self.requests,
            findings,
            self.notes,
            self.code_hooks,
            self.own_metrics,
            self.data.tables,
            open_code,
        )
        self.hooks = Hooks(spec, self.names, self.notes, files, self.data.tables, self.scenarios.used_blocks)
        self.setup: CompiledHook | None = None
        self.teardown: CompiledHook | None = None

    def plan(self, default_seed: int) -> LoadPlan:
        """Build the plan; it is only valid if there are no findings."""
        spec = self.spec
        self._check_kind()
        setup = self.hooks.steps("setup")
        self.code_hooks.extend_setup_values()
        if spec.scenarios is None:
            flows = self._flows()
            lanes: Sequence[Lane] = (self._lane(flows),)
            flows = self._with_hooks(flows, lanes[0])
            names = tuple(flow.name for flow in flows)
        else:
            lanes = ScenarioLanes(spec, self.findings).lanes()
            flows = self.scenarios.flows(lanes)
            lanes = with_prepared_users(spec, lanes, flows, self.findings)
            names = tuple(request.name for request in self.scenarios.step_names.requests)
        lanes = self.data.limited(lanes, flows)
        if spec.scenarios is not None:
            lanes = after_preparation(spec, lanes)
        teardown = self.hooks.steps("teardown")
        self.scenarios.note_unused_blocks()
        timeouts = [step.timeout_ns for flow in flows for step in flow.steps]
        graceful = max(timeouts, default=0) if spec.graceful_stop is None else nanoseconds(spec.graceful_stop)
        connections = self.connections.compiled()
        code_hooks = self.code_hooks.compiled(self.own_metrics)
        overrides = AddressOverrides(spec.connect_to, self.findings)
        origins = overrides.applied(self.requests.origins)
        seed = default_seed if spec.seed is None else spec.seed
        if setup:
            self.setup = setup.hook(seed, connections, overrides.applied(setup.requests.origins), None)
        if teardown:
            timeout_ns = nanoseconds(spec.teardown_timeout)
            self.teardown = teardown.hook(seed, connections, overrides.applied(teardown.requests.origins), timeout_ns)
        return LoadPlan(
            name=spec.name,
            seed=seed,
            endpoints=names,
            origins=origins,
            flows=flows,
            lanes=tuple(lanes),
            graceful_stop_ns=graceful,
            connections=connections,
            thresholds=self._thresholds(names, flows),
            engine=spec.engine,
            checks=tuple(self.requests.checks.indices),
            data=self.data.tables,
            own_metrics=self.own_metrics.all,
            needs=_needs(flows, origins, connections, has_hooks=code_hooks is not None),
            hooks=code_hooks,
        )

    def _with_hooks(self, flows: tuple[Flow, ...], lane: Lane) -> tuple[Flow, ...]:
        """Return endpoints with what hooks need.

        An iteration may fail without a request, so it is counted apart; users of a closed load keep their variables.
        """
        if self.spec.hooks is None:
            return flows
        keeps, policy = lane.load.model == "closed", self.spec.on_exception
        program, tables = (RequestOp(0),), self.code_hooks.tables_of(self.data.tables)
        return tuple(
            replace(flow, program=program, keeps_session=keeps, on_exception=policy, hook_tables=tables)
            for flow in flows
        )

    def written(self, plan: LoadPlan) -> tuple[WrittenRequest, ...]:
        """Return each endpoint as the spec writes it."""
        if self.spec.scenarios is not None:
            return tuple(self.scenarios.step_names.requests)
        return tuple(
            WrittenRequest(name, endpoint.method, masked_url(endpoint.url))
            for name, endpoint in zip(plan.endpoints, self.spec.get_endpoints(), strict=True)
        )

    def _lane(self, flows: tuple[Flow, ...]) -> Lane:
        """Build the only lane of an endpoint spec."""
        spec = self.spec
        return Lane(
            name=spec.name,
            flows=tuple(range(len(flows))),
            selection=spec.distribution_strategy,
            load=compile_load(spec, self.findings),
            total=total_requests(spec),
            duration_ns=None if spec.duration is None else nanoseconds(spec.duration),
        )

    def _check_kind(self) -> None:
        """Report a spec that has more than one of url, endpoints and scenarios."""
        spec, findings = self.spec, self.findings
        if spec.url is not None and spec.endpoints is not None:
            what = "the spec has both url and endpoints"
            findings.add(("endpoints",), what, "url_and_endpoints", "Turn url into one of the endpoints, or remove it")
        if spec.scenarios is None:
            return
        for name in ("url", "endpoints"):
            if getattr(spec, name) is not None:
                what = f"the spec has both {name} and scenarios"
                findings.add(("scenarios",), what, "url_and_scenarios", f"Turn {name} into steps, or remove it")
        if not spec.scenarios and not findings.touch("scenarios"):
            findings.add(("scenarios",), "the spec has no scenario", "no_scenario", "Add one: `browse: {steps: [..]}`")
        self._note_ignored_in_scenarios()

    def _note_ignored_in_scenarios(self) -> None:
        for name in ("method", "body", "expect_body", "checks", "distribution_strategy"):
            if name in self.spec.written:
                instead = "the `weight` of each scenario" if name == "distribution_strategy" else "each step"
                what = f"{name} is not used with scenarios"
                self.notes.add((name,), what, "ignored_field", f"Remove it, and set {instead}")

    def _flows(self) -> tuple[Flow, ...]:
        """Build one flow per endpoint; a single url is one flow."""
        spec, findings = self.spec, self.findings
        if spec.endpoints is None:
            if spec.url is None and not findings.touch("url") and not findings.touch("endpoints"):
                what = "the spec has neither url nor endpoints"
                findings.add((), what, "no_url", "Add `url: https://api.example.com/users`")
            step = self.requests.step(0, spec, ())
            return (Flow(_single_name(step), 1, (step,)),) if step else ()
        self._note_ignored()
        self._check_names(spec.endpoints)
        steps = [
            (endpoint, self.requests.step(index, endpoint, ("endpoints", index)))
            for index, endpoint in enumerate(spec.endpoints)
        ]
        return tuple(
            Flow(name, endpoint.weight, (step,) if step else ())
            for name, (endpoint, step) in zip(endpoint_names(spec.endpoints), steps, strict=True)
        )

    def _note_ignored(self) -> None:
        for name in ("method", "body", "expect_body", "checks"):
            if name in self.spec.written and getattr(self.spec, name) != TestSpec.declarations[name].default:
                what = f"{name} belongs to url and is not used with endpoints"
                self.notes.add((name,), what, "ignored_field", "Set it for each endpoint")
        for index, endpoint in enumerate(self.spec.endpoints or ()):
            if endpoint.weight != 1 and self.spec.distribution_strategy != "weighted":
                what = f"weight is not used with distribution_strategy {self.spec.distribution_strategy}"
                hint = "Write `distribution_strategy: weighted`"
                self.notes.add(("endpoints", index, "weight"), what, "ignored_field", hint)
                return

    def _check_names(self, endpoints: Sequence[EndpointSpec]) -> None:
        earlier: set[str] = set()
        for index, endpoint in enumerate(endpoints):
            if endpoint.name and endpoint.name in earlier:
                what = f'two endpoints are called "{endpoint.name}"'
                hint = "Give each a unique name: reports and thresholds identify endpoints by name"
                self.findings.add(("endpoints", index, "name"), what, "duplicate_name", hint)
            earlier.add(endpoint.name or "")

    def _thresholds(self, names: tuple[str, ...], flows: tuple[Flow, ...]) -> tuple[Threshold, ...]:
        endpoints = enumerate(self.spec.endpoints or ())
        steps = {index: (step.thresholds, path) for index, (step, path) in self.scenarios.step_names.steps.items()}
        return Criteria(
            self.spec,
            self.findings,
            endpoints=names,
            scenarios=scenarios_in(flows),
            checks=tuple(self.requests.checks.indices),
            own_metrics=self.own_metrics.all,
            steps=steps or {index: (endpoint.thresholds, ("endpoints", index)) for index, endpoint in endpoints},
        ).thresholds()


def _single_name(step: Step) -> str:
    """Return the display name of the endpoint of a spec with a single url: `GET /users/{{random_int}}`."""
    texts = [
        part.text
        if isinstance(part, LiteralPart)
        else "{{value}}"
        if isinstance(part, ValuePart | BytesPart)
        else "{{" + (part.slot if isinstance(part, SecretPart) else part.name) + "}}"
        for part in step.target
    ]
    return f"{step.method} {''.join(texts).partition('?')[0]}"[:128]


def _needs(
    flows: tuple[Flow, ...], origins: tuple[Origin, ...], connections: Connections, *, has_hooks: bool
) -> tuple[str, ...]:
    """Return the capabilities beyond plain HTTP/1.1, by the names of `engine.base.Capability`."""
    steps = [step for flow in flows for step in flow.steps]
    needs = {
        "tls": any(origin.scheme == "https" for origin in origins),
        "client_certificate": bool(connections.tls.certificate_pem),
        "proxy": connections.proxy is not None,
        "redirects": connections.redirects > 0,
        "body_checks": any(step.checks for step in steps),
        "http2": connections.http_version == "2",
        "source_addresses": bool(connections.source_addresses),
        "re_resolution": connections.resolve_every_ns is not None,
        "scenarios": any(flow.program for flow in flows)
        or any(step.named_checks or any(isinstance(part, ValuePart) for part in step.parts) for step in steps),
        "before_user": any(flow.before_user for flow in flows),
        "code": has_hooks or any(flow.code for flow in flows),
    }
    return tuple(name for name, needed in needs.items() if needed)
