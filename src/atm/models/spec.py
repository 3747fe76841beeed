"""The test spec: `TestSpec`, written as YAML, JSON or keyword arguments. Fields: docs/reference/spec.md."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from atm.models.auth import AUTH, AuthConfig
from atm.models.field_types import (
    Boolean,
    Choice,
    Duration,
    HeaderLines,
    Json,
    ListOf,
    MapOf,
    Nested,
    Number,
    Parsed,
    Text,
    Variable,
    WrongValueError,
    describe,
)
from atm.models.fields import SpecModel, declared, register_locations
from atm.models.load import RATE, USERS, LoadSpec
from atm.models.metric import METRICS

DEFAULT_STATUSES: tuple[int | str, ...] = (200, 201, 204)
_STATUS = re.compile(r"([1-5])xx|([1-5][0-9][0-9])(?:\s*-\s*([1-5][0-9][0-9]))?", re.IGNORECASE)
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""Characters of a method or header name (RFC 9110, 5.6.2)."""


def parse_status(value: int | str) -> tuple[int, int]:
    """Parse `200`, `"2xx"` or `"200-204"` to an inclusive range of status codes. Raises ValueError with a message."""
    match = _STATUS.fullmatch(str(value).strip())
    if not match:
        raise ValueError(f"{describe(value)} is not a status code, class or range")
    if match[1]:
        return int(match[1]) * 100, int(match[1]) * 100 + 99
    first, last = int(match[2]), int(match[3] or match[2])
    if last < first:
        raise ValueError(f'the range "{value}" ends before it begins')
    return first, last


def _status(value: Any) -> int | str:
    try:
        parse_status(value)
    except ValueError as error:
        hint = 'Write a code (204), a class ("2xx") or a range ("200-204")'
        raise WrongValueError(str(error), "bad_status", hint) from None
    return int(value) if isinstance(value, int) or value.strip().isdigit() else str(value).strip().lower()


def _method(value: Any) -> str:
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        hint = "A method is one word: GET, POST, PUT, PATCH, DELETE"
        raise WrongValueError(f"{describe(value)} is not an HTTP method", "bad_method", hint)
    if value.upper() == "CONNECT":
        hint = "Use `proxy` to send requests through a proxy"
        raise WrongValueError("CONNECT opens a tunnel and is not an API request", "bad_method", hint)
    return value.upper()


_STATUS_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 100, "maximum": 599},
        {"type": "string", "pattern": "^[1-5]([xX]{2}|[0-9]{2}( *- *[1-5][0-9]{2})?)$"},
    ]
}
STATUSES = ListOf(Parsed(_status, _STATUS_SCHEMA), least=1, single=True)
METHOD = Parsed(_method, {"type": "string", "examples": ["GET", "POST", "PUT", "PATCH", "DELETE"]})
BODY = Json("string", "object", "array", "number", "boolean")
WHOLE = Number(least=1, most=1e15, whole=True)
TEXTS = ListOf(Text(1), single=True)


HeaderValue = str | Sequence[str] | None
"""The value of a header, several values (one line each), or None to remove a default header."""
HEADERS = MapOf(HeaderLines())


class ExpectBody(SpecModel):
    """Condition on the response body; a response that does not meet it counts as failed (`check_failed`)."""

    contains: str | None = declared(Text(1), "The body must contain this text.", default=None)
    regex: str | None = declared(Text(1), "The body must match this regular expression anywhere.", default=None)


class ThresholdExpression(SpecModel):
    """A threshold with its options."""

    expression: str = declared(
        Text(1), "See docs/reference/thresholds.md.", examples=[metric.example for metric in METRICS.values()]
    )
    abort: bool = declared(Boolean(), "Abort the run as soon as this threshold fails.", default=False)
    abort_after: float = declared(
        Duration(), "Earliest abort, counted from the start of the measured load.", default=10.0
    )
    min_samples: int = declared(WHOLE, "Minimum number of requests for a window or an abort to be judged.", default=20)


EXPRESSION = Nested(ThresholdExpression, lambda text: {"expression": text}, {"type": "string"})


class Thresholds(SpecModel):
    """Pass criteria of a run. The named limits are inclusive."""

    max_latency_p50_ms: float | None = declared(RATE, "Response time, in milliseconds.", default=None)
    max_latency_p95_ms: float | None = declared(RATE, "Response time, in milliseconds.", default=None)
    max_latency_p99_ms: float | None = declared(RATE, "Response time, in milliseconds.", default=None)
    max_error_rate: float | None = declared(
        Number(least=0, most=1), "Failed / completed requests, 0 to 1.", default=None
    )
    min_throughput_rps: float | None = declared(RATE, "Ok responses per second.", default=None)
    expressions: Sequence[ThresholdExpression] = declared(
        ListOf(EXPRESSION, single=True),
        "Further thresholds.",
        default=(),
        examples=[["p99 < 300ms", "error_rate < 1%"]],
    )


THRESHOLDS = Nested(
    Thresholds,
    lambda rules: {"expressions": rules},
    {"type": ["string", "array"], "items": {"$ref": "#/$defs/ThresholdRule"}},
)
EXPECT_BODY = Nested(ExpectBody, lambda text: {"contains": text}, {"type": "string"})


class TlsSpec(SpecModel):
    """TLS settings. Files are in PEM format; paths are relative to the working directory."""

    insecure: bool = declared(Boolean(), "Skip certificate verification.", default=False)
    ca: str | None = declared(Text(1), "File of CA certificates to trust in addition to the system's.", default=None)
    cert: str | None = declared(Text(1), "File with the client certificate.", default=None)
    key: str | None = declared(Text(1), "File with the client's private key.", default=None)
    server_name: str | None = declared(
        Text(1), "Name for SNI and certificate verification instead of the URL's host.", default=None
    )


class EndpointSpec(SpecModel):
    """One endpoint of a test with several."""

    name: str = declared(Text(1, 128), "Unique name, shown in reports.", examples=["list users"])
    url: str = declared(Text(1), "Request URL.", examples=["https://api.example.com/users"])
    method: str = declared(METHOD, "HTTP method.", default="GET")
    headers: dict[str, HeaderValue] = declared(
        HEADERS, "Headers in addition to the spec's, which they override.", default={}
    )
    body: Any = declared(BODY, "Request body: text, or an object sent as JSON.", default=None)
    weight: int = declared(
        Number(least=1, most=1_000_000, whole=True), "Relative share with `distribution_strategy: weighted`.", default=1
    )
    expected_status_codes: Sequence[int | str] | None = declared(
        STATUSES, "Status codes that count as ok; default: the spec's.", default=None, examples=[[201], ["2xx", 404]]
    )
    expect_body: ExpectBody | None = declared(EXPECT_BODY, "Condition on the response body.", default=None)
    timeout: float | None = declared(Duration(positive=True), "Request timeout; default: the spec's.", default=None)
    auth: AuthConfig | None = declared(AUTH, "Credentials; default: the spec's; `{type: none}` for none.", default=None)
    thresholds: Thresholds = declared(THRESHOLDS, "Thresholds for this endpoint only.", default=Thresholds())


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
    endpoints: Sequence[EndpointSpec] | None = declared(
        ListOf(Nested(EndpointSpec), least=1), "Several endpoints instead of one `url`.", default=None
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

    def get_endpoints(self) -> list[EndpointSpec]:
        """Return the endpoints; for a single `url`, one endpoint with the name of the test."""
        if self.endpoints is not None:
            return list(self.endpoints)
        same = ("url", "method", "headers", "body", "expected_status_codes", "expect_body", "timeout", "auth")
        values = {name: getattr(self, name) for name in same if name in self.written}
        return [EndpointSpec(name=self.name[:128], **values)]


for _model, _location in (
    (EndpointSpec, "in an endpoint"),
    (TlsSpec, "in `tls`"),
    (LoadSpec, "in `load`"),
    (TestSpec, "at the top level of the spec"),
):
    register_locations(dict.fromkeys(_model.declarations, _location))
