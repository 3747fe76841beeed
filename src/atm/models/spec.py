"""The test spec: `TestSpec`, written as YAML, JSON or keyword arguments. Fields: docs/reference/spec.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from atm.models.auth import AUTH, AuthConfig
from atm.models.data_spec import DATA, DataSpec
from atm.models.field_types import Boolean, Choice, Duration, ListOf, MapOf, Nested, Number, Text, Variable
from atm.models.fields import SpecModel, declared, register_locations
from atm.models.fleet_spec import FleetSpec
from atm.models.load import RATE, USERS, WHOLE, LoadSpec
from atm.models.request import (
    BODY,
    CHECKS,
    DEFAULT_STATUSES,
    EXPECT_BODY,
    HEADERS,
    METHOD,
    STATUSES,
    CheckSpec,
    ExpectBody,
    HeaderValue,
    RequestSpec,
    named_checks,
)
from atm.models.scenario import BLOCKS, SCENARIOS, ScenarioSpec, Steps, StepSpec
from atm.models.threshold_spec import THRESHOLDS, Thresholds

TEXTS = ListOf(Text(1), single=True)


class TlsSpec(SpecModel):
    """TLS settings. Files are in PEM format; paths are relative to the working directory."""

    insecure: bool = declared(Boolean(), "Skip certificate verification.", default=False)
    ca: str | None = declared(Text(1), "File of CA certificates to trust in addition to the system's.", default=None)
    cert: str | None = declared(Text(1), "File with the client certificate.", default=None)
    key: str | None = declared(Text(1), "File with the client's private key.", default=None)
    server_name: str | None = declared(
        Text(1), "Name for SNI and certificate verification instead of the URL's host.", default=None
    )


class EndpointSpec(RequestSpec):
    """One endpoint of a test with several."""

    name: str | None = declared(
        Text(1, 128),
        "Unique name, shown in reports; default: method and path as written.",
        default=None,
        examples=["list users"],
    )
    weight: int = declared(
        Number(least=1, most=1_000_000, whole=True), "Relative share with `distribution_strategy: weighted`.", default=1
    )


class TestSpec(SpecModel):
    """A load test: its requests, load and pass criteria."""

    __test__: ClassVar[bool] = False  # or pytest would take the class for a test
    extensions: ClassVar[bool] = True

    name: str = declared(Text(1, 256), "Name of the test, shown in lists and reports.", examples=["checkout"])
    description: str | None = declared(Text(), "Free-text description.", default=None)
    url: str | None = declared(
        Text(1), "Request URL; use either this or `endpoints`.", default=None, examples=["https://example.com/"]
    )
    method: str = declared(METHOD, "HTTP method for `url`.", default="GET")
    headers: dict[str, HeaderValue] = declared(
        HEADERS,
        "Headers of every request; a list sends one line per value, null removes a default header.",
        default={},
        examples=[{"Accept": "application/json"}],
    )
    body: Any = declared(BODY, "Request body for `url`: text, or an object sent as JSON.", default=None)
    expect_body: ExpectBody | None = declared(EXPECT_BODY, "Condition on the response body of `url`.", default=None)
    checks: Sequence[CheckSpec] | dict[str, CheckSpec] = declared(
        CHECKS,
        "Named conditions on the response of `url`.",
        default=(),
        examples=[["status == 200", "time < 500ms"]],
    )
    endpoints: Sequence[EndpointSpec] | None = declared(
        ListOf(Nested(EndpointSpec), least=1), "Several endpoints instead of one `url`.", default=None
    )
    scenarios: dict[str, ScenarioSpec] | None = declared(
        SCENARIOS, "Journeys of several steps, by name, instead of `url` or `endpoints`.", default=None
    )
    data: dict[str, DataSpec] = declared(
        DATA,
        "Test data for scenarios, by name; `{{NAME.COLUMN}}` is a cell.",
        default={},
        examples=[{"accounts": {"file": "accounts.csv", "per": "user"}}],
    )
    blocks: dict[str, Sequence[StepSpec]] = declared(
        BLOCKS, "Steps that several scenarios run with `use: NAME`, by name.", default={}
    )
    setup: Sequence[StepSpec] = declared(
        Steps(),
        "Steps that run once before the load, outside its figures; the values that they extract are variables of it.",
        default=(),
        examples=[[{"POST": "/login", "extract": {"token": {"json": "$.token", "secret": True}}}]],
    )
    teardown: Sequence[StepSpec] = declared(
        Steps(), "Steps that run once after the load, however it ended, outside its figures.", default=()
    )
    teardown_timeout: float = declared(Duration(positive=True), "Time limit of all of `teardown`.", default=30.0)
    hooks: str | None = declared(
        Text(1),
        "A Python file whose functions are called during the run: `setup`, `teardown`, `user_start`, `before_request`, "
        "`after_response`, and those of `call` steps.",
        default=None,
        examples=["shop_hooks.py"],
    )
    on_exception: Literal["continue", "stop_user", "stop_run"] = declared(
        Choice("continue", "stop_user", "stop_run"),
        "What follows an exception in Python code, which fails its iteration.",
        default="continue",
    )
    base_url: str | None = declared(
        Text(1),
        "Continued by every URL that starts with /.",
        default=None,
        examples=["https://api.example.com/v1"],
    )
    distribution_strategy: Literal["round_robin", "weighted", "sequential"] = declared(
        Choice("round_robin", "weighted", "sequential"),
        "How requests are distributed among the endpoints.",
        default="round_robin",
    )
    total_requests: int | None = declared(
        WHOLE, "Stop after this number of requests; default 100 without duration and stages.", default=None
    )
    duration: float | None = declared(
        Duration(positive=True),
        "Duration of the measured load; warm-up is added.",
        default=None,
        examples=["30s", "5m"],
    )
    concurrency: int | None = declared(
        USERS, "Virtual users, default 10; with requests_per_second, the maximum of requests in flight.", default=None
    )
    requests_per_second: float | None = declared(
        RATE,
        "Constant arrival rate (open model), regardless of how fast the server responds.",
        default=None,
        examples=[50],
    )
    load: LoadSpec | None = declared(
        Nested(LoadSpec), "Stages, warm-up, Poisson arrivals; replaces the two fields above.", default=None
    )
    timeout: float = declared(
        Duration(positive=True), "Timeout per request, including its body and redirects.", default=30.0
    )
    graceful_stop: float | None = declared(
        Duration(),
        "How long requests in flight may take after the end of sending; default: the longest timeout.",
        default=None,
    )
    thresholds: Thresholds = declared(
        THRESHOLDS, "Pass criteria: named limits, expressions, or both.", default=Thresholds()
    )
    expected_status_codes: Sequence[int | str] = declared(
        STATUSES, "Status codes that count as ok.", default=DEFAULT_STATUSES, examples=[[200, 404], ["2xx"]]
    )
    variables: dict[str, str] = declared(
        MapOf(Variable()),
        'Values for `{{name}}`; `{value: "1234", secret: true}` marks a credential whose name does not show it.',
        default={},
        examples=[{"base": "https://api.example.com"}],
    )
    auth: AuthConfig | None = declared(AUTH, "Credentials of the requests.", default=None)
    seed: int | None = declared(
        Number(least=0, most=2**64 - 1, whole=True),
        "Seed of random choices, for repeatable runs; default: random, and reported.",
        default=None,
    )
    engine: Literal["auto", "native", "asyncio"] = declared(
        Choice("auto", "native", "asyncio"), "Engine that sends the load.", default="auto"
    )
    fleet: FleetSpec | None = declared(
        Nested(FleetSpec), "Send the load from several worker processes.", default=None, examples=[{"processes": 2}]
    )
    tls: TlsSpec | None = declared(Nested(TlsSpec), "TLS settings.", default=None)
    proxy: str | None = declared(Text(1), "URL of an HTTP proxy.", default=None, examples=["http://proxy.local:3128"])
    redirects: int = declared(
        Number(least=0, most=50, whole=True),
        "Maximum number of redirects to follow per request; 0: a 3xx is treated like any other response.",
        default=0,
    )
    max_response_bytes: int | None = declared(WHOLE, "A longer response counts as failed.", default=None)
    keep_alive: bool = declared(Boolean(), "Reuse connections; false opens a new one for every request.", default=True)
    http_version: Literal["1.1", "2", "auto"] = declared(
        Choice("1.1", "2", "auto", spellings={"2.0": "2"}), "HTTP version.", default="1.1"
    )
    streams_per_connection: int = declared(
        Number(least=1, most=1000, whole=True), "HTTP/2: number of users per connection.", default=1
    )
    connect_to: Sequence[str] = declared(
        TEXTS,
        "Connect to another address than the URL's: HOST:PORT:OTHER_HOST:OTHER_PORT, like curl's --connect-to.",
        default=(),
        examples=[["api.example.com:443:10.0.0.5:8443"]],
    )
    source_addresses: Sequence[str] = declared(
        TEXTS, "Local IP addresses to connect from, used in turn.", default=(), examples=[["10.0.0.7", "10.0.0.8"]]
    )
    resolve_every: float | None = declared(
        Duration(positive=True), "Interval of repeated name resolution during the run.", default=None
    )

    @property
    def named_checks(self) -> list[tuple[str | int, CheckSpec]]:
        """Return each check of `url` with its index in the list, or its name in the object."""
        return named_checks(self.checks)

    def get_endpoints(self) -> list[EndpointSpec]:
        """Return the endpoints; for a single `url`, one endpoint with the name of the test."""
        if self.endpoints is not None:
            return list(self.endpoints)
        same = ("url", "method", "headers", "body", "expected_status_codes", "expect_body", "checks", "timeout", "auth")
        values = {name: getattr(self, name) for name in same if name in self.written}
        return [EndpointSpec(name=self.name[:128], **values)]


for _model, _location in (
    (ScenarioSpec, "in a scenario"),
    (DataSpec, "in `data`"),
    (EndpointSpec, "in an endpoint"),
    (TlsSpec, "in `tls`"),
    (FleetSpec, "in `fleet`"),
    (LoadSpec, "in `load`"),
    (TestSpec, "at the top level of the spec"),
):
    register_locations(dict.fromkeys(_model.declarations, _location))
