"""The load plan: everything decided before the first request, immutable and serialisable for any engine.

Serialised, it is one JSON object (`format` 2), read by the native engine, the runner process and remote workers.
A plan holds no secret: credentials are named slots (`SecretPart`) whose values are passed separately. All durations are
integer nanoseconds, rates are per second, indices are 0-based, request numbers 1-based.

Random decisions are functions of (seed, request number), see `randomness.py`: every engine sends the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import field
from typing import Any, Literal

from atm.dataclass import dataclass
from atm.models.own_metric import OwnMetric
from atm.models.threshold import Threshold
from atm.plan.connections import Connections, Origin
from atm.plan.program import Check, CheckName, DataTable, Extract, Op, Slot
from atm.plan.share import WHOLE, Share
from atm.plan.template_parts import Part, Template

PLAN_FORMAT = 2
"""Increased with every change that an older engine would misread."""

RETRY_NS = 1_000_000_000
"""How long after a failed attempt a user begins again with `Flow.before_user`."""

CODE_STOP_NS = 1_500_000_000
"""How long iterations of code may continue after a stop by a command."""


@dataclass(frozen=True, slots=True)
class Header:
    """One header line, sent as `name: value`."""

    name: str
    value: Template


@dataclass(frozen=True, slots=True)
class BodyCheck:
    """A condition on the response body (after decompression)."""

    kind: Literal["contains", "regex"]
    pattern: str


@dataclass(frozen=True, slots=True)
class Step:
    """One request of a flow.

    Engines send `METHOD SP target SP HTTP/1.1`, then `headers` in order (Host is the first of them), then
    `Content-Length` as the last line where there is a body or the method is POST, PUT or PATCH, then the body.
    """

    endpoint: int
    """Index into `LoadPlan.endpoints`, under which this request's figures are counted."""
    origin: int
    method: str
    target: Template
    """Path and query of the request line; never empty."""
    headers: tuple[Header, ...]
    body: Template | None
    expected_statuses: tuple[tuple[int, int], ...]
    """Inclusive ranges of expected status codes."""
    checks: tuple[BodyCheck, ...]
    timeout_ns: int
    named_checks: tuple[Check, ...] = ()
    """Judged after `checks`, on every full response, in order."""
    extracts: tuple[Extract, ...] = ()
    """Applied after the checks to every full response, in order."""
    compresses: bool = False
    """The body is sent compressed with gzip; the compiler adds Content-Encoding."""

    @property
    def sends_length(self) -> bool:
        """Return whether the request has a Content-Length: with a body, or for a method that allows one."""
        return self.body is not None or self.method in ("POST", "PUT", "PATCH")

    @property
    def parts(self) -> tuple[Part, ...]:
        """Return all template parts of the request."""
        return (*self.target, *(part for header in self.headers for part in header.value), *(self.body or ()))


@dataclass(frozen=True, slots=True)
class Code:
    """A function in a Python file that runs the iterations of a flow."""

    file: str
    """Absolute path."""
    function: str
    digest: str
    """SHA-256 of the file, in hexadecimal."""
    on_exception: Literal["continue", "stop_user", "stop_run"] = "continue"
    """What follows an exception, which fails its iteration."""
    tables: tuple[int, ...] = ()
    """Indices of the data tables that the file uses."""
    variables: tuple[tuple[str, Any], ...] = ()
    """The variables with which each user begins: those of the spec whose values are plain, and values of `setup`."""


@dataclass(frozen=True, slots=True)
class CodeHooks:
    """A Python file whose functions are called for the users of flows without `Flow.code`."""

    file: str
    """Absolute path."""
    digest: str
    """SHA-256 of the file, in hexadecimal."""
    functions: tuple[tuple[str, str], ...]
    """Each hook that it has (`before_request`), and the name of its function."""
    variables: tuple[tuple[str, Any], ...] = ()
    """What every user can read: variables of the spec with fixed values, and values of `setup`."""
    secrets: tuple[tuple[str, str], ...] = ()
    """The same for secrets: each name, and the slot of its value."""
    of_setup: tuple[Slot, ...] = ()
    """What its `setup` may set."""
    base_url: str = ""
    teardown_ns: int = 30_000_000_000
    """The time limit of its `teardown`."""

    def has(self, hook: str) -> bool:
        """Return whether the file has a hook of this name."""
        return any(name == hook for name, _ in self.functions)


@dataclass(frozen=True, slots=True)
class Flow:
    """An ordered journey of one user; a plain endpoint is a flow with one step."""

    name: str
    weight: int
    steps: tuple[Step, ...]
    program: tuple[Op, ...] = ()
    """What an iteration does; empty: the steps in order, each after a full response to the one before."""
    slots: tuple[Slot, ...] = ()
    """The variables of a user; the operations refer to them by index."""
    counters: int = 0
    """Number of loop counters of the program."""
    uses_cookies: bool = False
    """Users keep cookies (RFC 6265) and send them in a Cookie header after the step's headers."""
    keeps_session: bool = False
    """Slots and cookies stay with the user; otherwise each iteration begins without."""
    pace_ns: int = 0
    """Closed model: an iteration is due this long after the intended start of the user's one before, at the earliest
    when that has ended; 0 = when it has ended."""
    before_user: tuple[Op, ...] = ()
    """What a user does once, before its first iteration, over the same slots, steps and counters. Its steps are others
    than those of `program`, and come after them. Needs `program` and `keeps_session`, and a lane without other flows,
    which in the open model has `Lane.prepared`. In random draws and values, the number of the user takes the place of
    the iteration's. A step that would end an iteration ends the attempt; after `RETRY_NS` the user begins again,
    without slots and cookies."""
    code: Code | None = None
    """Runs the iterations instead of `program`. Each of the steps is then a model for requests, of one endpoint: the
    first for those beyond the limit of names, the others for the names that thresholds use. Further endpoints and
    checks are announced when they are used first (`metrics.interval.Announcement`)."""
    on_exception: Literal["continue", "stop_user", "stop_run"] = "continue"
    """What follows an exception of `LoadPlan.hooks`, which fails its iteration."""
    hook_tables: tuple[int, ...] = ()
    """Indices of the data tables that `LoadPlan.hooks` uses."""

    @property
    def counts_iterations(self) -> bool:
        """Whether its iterations are counted: they are more than a single request."""
        return bool(self.program) or self.code is not None or len(self.steps) > 1


@dataclass(frozen=True, slots=True)
class Segment:
    """A linear segment of a load profile, from `start` to `end` (users, or arrivals per second)."""

    start: float
    end: float
    duration_ns: int | None
    """None for the last segment of an endless profile."""


@dataclass(frozen=True, slots=True)
class Load:
    """The load model and its level over time."""

    model: Literal["closed", "open"]
    segments: tuple[Segment, ...]
    """At least one segment; warm-up is separate."""
    warm_up_ns: int = 0
    """Runs before the segments, at `warm_up_level`."""
    warm_up_level: float = 0.0
    """Users, or arrivals per second, during warm-up."""
    arrival: Literal["even", "poisson"] = "even"
    on_saturation: Literal["queue", "drop"] = "queue"
    catch_up: Literal["full", "none"] = "full"
    catch_up_max_ns: int = 5_000_000_000
    max_in_flight: int | None = None
    """Open model: the limit of iterations in progress, those that think included; None = the engine's ceiling. An
    iteration has at most one request in flight."""
    max_rate: float | None = None
    """Closed model: the most iterations per second that all users together start."""


@dataclass(frozen=True, slots=True)
class PreparedUsers:
    """Open model: the users of a lane, who run `Flow.before_user` in the background, never within an iteration.

    An arrival takes the prepared user who has been free the longest; without one, it is treated as without a free
    user. A user who has failed to prepare, or whose iteration ended by `stop_user`, is prepared again, under the same
    number. No request of `before_user` counts as warm-up.
    """

    users: int
    """Their number, which is the limit of iterations in flight; they are numbered from 1."""
    rate: float
    """How many of them begin to prepare per second, at most."""
    lead_ns: int = 0
    """The first one begins this long before `Lane.start_ns`."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Flows with a load of their own. The lanes of a plan run side by side; an endpoint spec has one, with all flows.

    Iterations are numbered from 1 in each lane, and so are users. Its random arrivals and weighted selections are draws
    from `randomness.lane_seed`.
    """

    name: str
    flows: tuple[int, ...]
    """Indices into `LoadPlan.flows`; each flow belongs to exactly one lane."""
    selection: Literal["round_robin", "weighted", "sequential"]
    """How iterations are distributed among the lane's flows."""
    load: Load
    total: int | None
    """Measured arrivals (open) or starts (closed) after which sending ends."""
    duration_ns: int | None
    """The length of the measured load; None = until the total or the end of the stages."""
    start_ns: int = 0
    """The lane's own time zero, since the start of the run: its warm-up and measured load begin that much later."""
    prepared: PreparedUsers | None = None
    """Open model: the users of a flow with `before_user`."""
    last_number: int | None = None
    """Closed model: no iteration has a number above it, warm-up included, and sending ends as after a `total`."""

    @property
    def planned_ns(self) -> int | None:
        """Length of the measured load: the duration or the stages, whichever ends first; None without either."""
        lengths = [segment.duration_ns for segment in self.load.segments]
        staged = None if None in lengths else sum(length for length in lengths if length is not None)
        return min((end for end in (self.duration_ns, staged) if end is not None), default=None)

    @property
    def measured_from_ns(self) -> int:
        """The end of its warm-up, since the start of the run."""
        return self.start_ns + self.load.warm_up_ns

    @property
    def planned_end_ns(self) -> int | None:
        """When its sending ends at the latest, since the start of the run; None if no time ends it."""
        planned = self.planned_ns
        return None if planned is None else self.measured_from_ns + planned


@dataclass(frozen=True, slots=True)
class Sampling:
    """How many requests and iterations are sampled."""

    first_per_endpoint: int = 2
    failures_per_kind: int = 3
    slowest: int = 10
    body_bytes: int = 10_240
    first_iterations: int = 2
    """Of each flow with a program, as the next two. Iterations of the warm-up are not sampled."""
    failed_iterations: int = 3
    """Those that failed, or had a failed request."""
    slowest_iterations: int = 5
    """By their time without think time."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """The complete input of an engine, apart from secrets."""

    name: str
    seed: int
    """0 to 2^64 - 1."""
    endpoints: tuple[str, ...]
    """Display names, in the order of the spec; unique."""
    origins: tuple[Origin, ...]
    flows: tuple[Flow, ...]
    lanes: tuple[Lane, ...]
    """At least one."""
    graceful_stop_ns: int
    connections: Connections = field(default_factory=Connections)
    thresholds: tuple[Threshold, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    engine: Literal["auto", "native", "asyncio"] = "auto"
    checks: tuple[CheckName, ...] = ()
    data: tuple[DataTable, ...] = ()
    own_metrics: tuple[OwnMetric, ...] = ()
    """Those that its Python files declare; intervals refer to them by index."""
    needs: tuple[str, ...] = ()
    """Capabilities (`engine/base.py`) beyond plain HTTP/1.1 that an engine must have to run this plan."""
    share: Share = WHOLE
    hooks: CodeHooks | None = None
    format: int = PLAN_FORMAT

    @property
    def warm_up_ns(self) -> int:
        """When the first lane ends its warm-up: the planned start of the measured window."""
        return min(lane.measured_from_ns for lane in self.lanes)

    @property
    def has_code(self) -> bool:
        """Whether Python code of users runs in the load."""
        return self.hooks is not None or any(flow.code for flow in self.flows)

    @property
    def planned_ns(self) -> int | None:
        """Planned length of the measured window, up to the end of the last lane; None if no time ends one of them."""
        return None if self.planned_end_ns is None else self.planned_end_ns - self.warm_up_ns

    @property
    def planned_end_ns(self) -> int | None:
        """The planned end of the last lane, since the start of the run; None if no time ends one of them."""
        ends = [lane.planned_end_ns for lane in self.lanes]
        planned = [end for end in ends if end is not None]
        return max(planned) if len(planned) == len(ends) else None

    @property
    def total(self) -> int | None:
        """Measured iterations of all lanes together; None if one of them has no total."""
        totals = [lane.total for lane in self.lanes if lane.total is not None]
        return sum(totals) if len(totals) == len(self.lanes) else None

    @property
    def model(self) -> Literal["closed", "open", "mixed"]:
        """The load model of all lanes, `mixed` if they differ."""
        models = {lane.load.model for lane in self.lanes}
        return models.pop() if len(models) == 1 else "mixed"

    @property
    def is_poisson(self) -> bool:
        """Whether arrivals of a lane are random."""
        return any(lane.load.arrival == "poisson" for lane in self.lanes)

    def to_bytes(self) -> bytes:
        """Serialise the plan as one JSON object, which `plan_decoder.decode` reads."""
        return json.dumps(self, default=_fields, ensure_ascii=False, separators=(",", ":")).encode()


def _fields(item: Any) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__slots__}
