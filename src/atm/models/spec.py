"""What a person writes: `TestSpec`, as YAML, JSON or keyword arguments. docs/reference/spec.md explains every field."""

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
from atm.models.fields import SpecModel, declared, homes
from atm.models.load import RATE, USERS, LoadSpec
from atm.models.metric import METRICS

DEFAULT_STATUSES: tuple[int | str, ...] = (200, 201, 204)
_STATUS = re.compile(r"([1-5])xx|([1-5][0-9][0-9])(?:\s*-\s*([1-5][0-9][0-9]))?", re.IGNORECASE)
TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""What a method or a header name consists of (RFC 9110, 5.6.2)."""


def parse_status(value: int | str) -> tuple[int, int]:
    """An inclusive range of status codes from `200`, `"2xx"` or `"200-204"`. Raises ValueError with a sentence."""
    match = _STATUS.fullmatch(str(value).strip())
    if not match:
        raise ValueError(f"{describe(value)} is no status code, class or range")
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
        hint = "Methods are one word: GET, POST, PUT, PATCH, DELETE"
        raise WrongValueError(f"{describe(value)} is no HTTP method", "bad_method", hint)
    if value.upper() == "CONNECT":
        hint = "`proxy` sends requests by way of a proxy"
        raise WrongValueError("CONNECT opens a tunnel and is no request to an API", "bad_method", hint)
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
"""The value of a header, several of them (a line each), or None for a header that is not sent."""
HEADERS = MapOf(HeaderLines())


class ExpectBody(SpecModel):
    """What the body of a good answer holds; an answer without it is a failure (`check_failed`)."""

    contains: str | None = declared(Text(1), "This text, literally.", default=None)
    regex: str | None = declared(Text(1), "A match of this regular expression, anywhere in it.", default=None)


class ThresholdExpression(SpecModel):
    """A threshold, with what to do about it."""

    expression: str = declared(
        Text(1), "See docs/reference/thresholds.md.", examples=[metric.example for metric in METRICS.values()]
    )
    abort: bool = declared(Boolean(), "Stop the run as soon as this has failed.", default=False)
    abort_after: float = declared(Duration(), "Not before so much of the measured load has passed.", default=10.0)
    min_samples: int = declared(WHOLE, "Windows and aborts need at least so many requests.", default=20)


EXPRESSION = Nested(ThresholdExpression, lambda text: {"expression": text}, {"type": "string"})


class Thresholds(SpecModel):
    """Rules that the run is judged by. The named limits are inclusive."""

    max_latency_p50_ms: float | None = declared(RATE, "Response time, in milliseconds.", default=None)
    max_latency_p95_ms: float | None = declared(RATE, "Response time, in milliseconds.", default=None)
    max_latency_p99_ms: float | None = declared(RATE, "Response time, in milliseconds.", default=None)
    max_error_rate: float | None = declared(Number(least=0, most=1), "Failed of completed, 0 to 1.", default=None)
    min_throughput_rps: float | None = declared(RATE, "Ok answers per second.", default=None)
    expressions: Sequence[ThresholdExpression] = declared(
        ListOf(EXPRESSION, single=True), "More rules.", default=(), examples=[["p99 < 300ms", "error_rate < 1%"]]
    )


THRESHOLDS = Nested(
    Thresholds,
    lambda rules: {"expressions": rules},
    {"type": ["string", "array"], "items": {"$ref": "#/$defs/ThresholdRule"}},
)
EXPECT_BODY = Nested(ExpectBody, lambda text: {"contains": text}, {"type": "string"})


class TlsSpec(SpecModel):
    """TLS settings. Files are PEM, their paths relative to the working directory."""

    insecure: bool = declared(Boolean(), "Do not check certificates.", default=False)
    ca: str | None = declared(Text(1), "A file of certificates to trust beside the system's.", default=None)
    cert: str | None = declared(Text(1), "The file of the client's certificate.", default=None)
    key: str | None = declared(Text(1), "The file of the client's key.", default=None)
    server_name: str | None = declared(Text(1), "Ask for and check this name instead of the URL's host.", default=None)


class EndpointSpec(SpecModel):
    """One of several requests of a test."""

    name: str = declared(Text(1, 128), "How reports call it; unique.", examples=["list users"])
    url: str = declared(Text(1), "Where it is sent.", examples=["https://api.example.com/users"])
    method: str = declared(METHOD, "The HTTP method.", default="GET")
    headers: dict[str, HeaderValue] = declared(HEADERS, "Beside those of the spec, and before them.", default={})
    body: Any = declared(BODY, "Text, or an object that is sent as JSON.", default=None)
    weight: int = declared(
        Number(least=1, most=1_000_000, whole=True), "Its share with `distribution_strategy: weighted`.", default=1
    )
    expected_status_codes: Sequence[int | str] | None = declared(
        STATUSES, "What is ok; default: as in the spec.", default=None, examples=[[201], ["2xx", 404]]
    )
    expect_body: ExpectBody | None = declared(EXPECT_BODY, "What a good answer holds.", default=None)
    timeout: float | None = declared(Duration(positive=True), "Default: as in the spec.", default=None)
    auth: AuthConfig | None = declared(AUTH, "Default: as in the spec; `{type: none}` for none.", default=None)
    thresholds: Thresholds = declared(THRESHOLDS, "Rules for this endpoint alone.", default=Thresholds())


class TestSpec(SpecModel):
    """A load test: what to send, how much of it, and what must hold."""

    __test__: ClassVar[bool] = False  # or pytest would take the class for a test
    extensions: ClassVar[bool] = True

    name: str = declared(Text(1, 256), "How lists and reports call the test.", examples=["checkout"])
    description: str | None = declared(Text(), "For people.", default=None)
    url: str | None = declared(
        Text(1), "Where requests are sent; either this or `endpoints`.", default=None, examples=["https://example.com/"]
    )
    method: str = declared(METHOD, "The HTTP method for `url`.", default="GET")
    headers: dict[str, HeaderValue] = declared(
        HEADERS,
        "Sent with every request; a list sends a line for each value, null leaves a header out.",
        default={},
        examples=[{"Accept": "application/json"}],
    )
    body: Any = declared(BODY, "Text, or an object that is sent as JSON, to `url`.", default=None)
    expect_body: ExpectBody | None = declared(EXPECT_BODY, "What a good answer from `url` holds.", default=None)
    endpoints: Sequence[EndpointSpec] | None = declared(
        ListOf(Nested(EndpointSpec), least=1), "Several requests instead of one `url`.", default=None
    )
    distribution_strategy: Literal["round_robin", "weighted", "sequential"] = declared(
        Choice("round_robin", "weighted", "sequential"),
        "How the requests are shared among the endpoints.",
        default="round_robin",
    )
    total_requests: int | None = declared(
        WHOLE, "Stop after so many; default 100, if neither duration nor stages are given.", default=None
    )
    duration: float | None = declared(
        Duration(positive=True), "Stop after so long; warm-up comes in addition.", default=None, examples=["30s", "5m"]
    )
    concurrency: int | None = declared(
        USERS, "Virtual users, default 10; with requests_per_second the limit of requests in flight.", default=None
    )
    requests_per_second: float | None = declared(
        RATE, "An open load of evenly spaced arrivals, whatever the server does.", default=None, examples=[50]
    )
    load: LoadSpec | None = declared(
        Nested(LoadSpec), "Stages, warm-up, Poisson arrivals: instead of the two above.", default=None
    )
    timeout: float = declared(
        Duration(positive=True), "For one request, its body and redirects included.", default=30.0
    )
    graceful_stop: float | None = declared(
        Duration(), "How long requests in flight may take at the end; default: the longest timeout.", default=None
    )
    thresholds: Thresholds = declared(
        THRESHOLDS, "What must hold: named limits, expressions, or both.", default=Thresholds()
    )
    expected_status_codes: Sequence[int | str] = declared(
        STATUSES, "What is ok.", default=DEFAULT_STATUSES, examples=[[200, 404], ["2xx"]]
    )
    variables: dict[str, str] = declared(
        MapOf(Variable()),
        'Values for `{{name}}`; `{value: "1234", secret: true}` for one that is a credential and not called so.',
        default={},
        examples=[{"base": "https://api.example.com"}],
    )
    auth: AuthConfig | None = declared(AUTH, "How requests prove who they are.", default=None)
    seed: int | None = declared(
        Number(least=0, most=2**64 - 1, whole=True),
        "Makes random choices repeatable; a run without one picks its own and reports it.",
        default=None,
    )
    engine: Literal["auto", "native", "asyncio"] = declared(
        Choice("auto", "native", "asyncio"), "What sends the load.", default="auto"
    )
    tls: TlsSpec | None = declared(Nested(TlsSpec), "Certificates and names.", default=None)
    proxy: str | None = declared(
        Text(1), "The URL of an HTTP proxy.", default=None, examples=["http://proxy.local:3128"]
    )
    redirects: int = declared(
        Number(least=0, most=50, whole=True),
        "Follow at most so many per request; with 0 a 3xx is an answer like any other.",
        default=0,
    )
    max_response_bytes: int | None = declared(WHOLE, "A longer answer is a failure.", default=None)
    keep_alive: bool = declared(Boolean(), "false: a new connection for every request.", default=True)
    http_version: Literal["1.1", "2", "auto"] = declared(
        Choice("1.1", "2", "auto", spellings={"2.0": "2"}), "The version of HTTP to speak.", default="1.1"
    )
    streams_per_connection: int = declared(
        Number(least=1, most=1000, whole=True), "HTTP/2: how many users share a connection.", default=1
    )
    connect_to: Sequence[str] = declared(
        TEXTS,
        "Dial elsewhere than the URL says: HOST:PORT:OTHER_HOST:OTHER_PORT, as curl's --connect-to.",
        default=(),
        examples=[["api.example.com:443:10.0.0.5:8443"]],
    )
    source_addresses: Sequence[str] = declared(
        TEXTS, "Local IP addresses to connect from, in turn.", default=(), examples=[["10.0.0.7", "10.0.0.8"]]
    )
    resolve_every: float | None = declared(
        Duration(positive=True), "Look names up anew so often while the run goes on.", default=None
    )

    def get_endpoints(self) -> list[EndpointSpec]:
        """The endpoints; of a spec with a single `url` that one, under the name of the test."""
        if self.endpoints is not None:
            return list(self.endpoints)
        same = ("url", "method", "headers", "body", "expected_status_codes", "expect_body", "timeout", "auth")
        values = {name: getattr(self, name) for name in same if name in self.written}
        return [EndpointSpec(name=self.name[:128], **values)]


for _model, _home in (
    (EndpointSpec, "in an endpoint"),
    (TlsSpec, "in `tls`"),
    (LoadSpec, "in `load`"),
    (TestSpec, "at the top level of the spec"),
):
    homes(dict.fromkeys(_model.declarations, _home))
