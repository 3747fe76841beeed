"""Arguments shared by several tools, and their conversion to a spec."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

from pydantic import Field

from atm.dataclass import dataclass
from atm.errors import Problem, SpecError
from atm.parameter_groups import ParameterGroup
from atm.plan.spec_reader import read_spec_text

RunId = Annotated[
    str, Field(min_length=1, max_length=64, description="Run id, a prefix of it, or `last`.", examples=["last"])
]
Spec = Annotated[
    dict[str, Any] | str | None,
    Field(
        description="A whole test spec, as an object or as YAML text, instead of the single fields; "
        "its JSON Schema is resource atm://schema/spec.",
    ),
]
Name = Annotated[str | None, Field(min_length=1, max_length=256, description="Name of the test.")]
Url = Annotated[
    str | None,
    Field(max_length=8192, description="Target URL, http:// or https://.", examples=["http://127.0.0.1:8080/"]),
]
Method = Annotated[str | None, Field(max_length=32, description="HTTP method; default GET.", examples=["POST"])]
Headers = Annotated[
    dict[str, str] | None,
    Field(description="Sent with every request. Secrets as {{env:NAME}}, not literally."),
]
Body = Annotated[
    dict[str, Any] | list[Any] | str | None,
    Field(description="Text, or an object or array sent as JSON. Templates: {{uuid}}, {{random_int}}."),
]
Users = Annotated[
    int | None,
    Field(
        ge=1,
        le=1_000_000,
        description="Closed model: virtual users, each waits for a response before its next request. "
        "Default 10. With requests_per_second: the most requests in flight.",
    ),
]
Rate = Annotated[
    float | None,
    Field(
        gt=0,
        le=1_000_000,
        description="Open model: arrival rate per second, however slow the target is. "
        "Use it for `can it handle N requests/s?`.",
    ),
]
Duration = Annotated[
    str | float | None,
    Field(description="How long to send: seconds, or `30s`, `5m`.", examples=["30s"]),
]
WarmUp = Annotated[
    str | float | None,
    Field(description="Runs first, excluded from all results: seconds, or `5s`.", examples=["5s"]),
]
Total = Annotated[
    int | None,
    Field(ge=1, le=1_000_000_000, description="Stop after this many requests; default 100 without a duration."),
]
Timeout = Annotated[str | float | None, Field(description="Per request: seconds, or `5s`; default 30 s.")]
Statuses = Annotated[
    list[int | str] | None,
    Field(description="Status codes that are ok; default 200, 201, 204.", examples=[["2xx", 404]]),
]
Thresholds = Annotated[
    list[str] | None,
    Field(
        max_length=50,
        description="Rules to pass: `p99 < 300ms`, `p95 < 200ms`, `error_rate < 1%`, `rps > 100`, `ok p99 < 250ms`.",
        examples=[["p99 < 300ms", "error_rate < 1%"]],
    ),
]
Endpoints = Annotated[
    list[dict[str, Any]] | None,
    Field(
        max_length=200,
        description="Several requests instead of one url: {name, url, method, headers, body, weight, "
        "expected_status_codes}.",
    ),
]
Variables = Annotated[dict[str, str] | None, Field(description="Values for {{name}} in URLs, headers and bodies.")]
Auth = Annotated[
    dict[str, Any] | None,
    Field(
        description="Authentication, secrets as {{env:NAME}}: {type: bearer_token, token}, {type: api_key, key}, "
        "{type: basic, username, password}, {type: oauth2_client_credentials, token_url, client_id, client_secret}.",
    ),
]
Fleet = Annotated[
    dict[str, Any] | None,
    Field(
        description="Send the load from several workers: {processes: 2} on the server's machine, or {on: CLUSTER, "
        "workers: 8} on a Ray cluster that the server allows. Only if one process is the limit.",
        examples=[{"processes": 2}],
    ),
]
LimitMs = Annotated[
    float | None, Field(gt=0, le=1e9, description="Threshold on the response time in ms; see thresholds.")
]
MaxErrorRate = Annotated[
    float | None, Field(ge=0, le=1, description="Threshold: failed share of completed requests, 0 to 1.")
]
Concurrency = Annotated[int | None, Field(ge=1, le=1_000_000, description="Same as users.")]
Tags = Annotated[list[str], Field(max_length=20, description="Tags to find the run by.")]
Notes = Annotated[str, Field(max_length=2000, description="Reason for the run, for people.")]
Wait = Annotated[
    float,
    Field(ge=0, le=600, description="Wait up to this many seconds for the result; 0: return at once."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecParameters:
    """The arguments that describe a test: single fields, or a whole spec."""

    url: Url = None
    method: Method = None
    headers: Headers = None
    body: Body = None
    requests_per_second: Rate = None
    users: Users = None
    concurrency: Concurrency = None
    duration: Duration = None
    total_requests: Total = None
    warm_up: WarmUp = None
    thresholds: Thresholds = None
    max_latency_p50_ms: LimitMs = None
    max_latency_p95_ms: LimitMs = None
    max_latency_p99_ms: LimitMs = None
    max_error_rate: MaxErrorRate = None
    expected_status_codes: Statuses = None
    timeout: Timeout = None
    endpoints: Endpoints = None
    variables: Variables = None
    auth: Auth = None
    fleet: Fleet = None
    name: Name = None
    spec: Spec = None

    def given(self) -> dict[str, Any]:
        """Return the fields of the spec that were given, and `spec`. Raises SpecError as `single_fields`."""
        present = {name: value for name, value in self.single_fields().items() if value is not None}
        return present if self.spec is None else {**present, "spec": self.spec}

    def single_fields(self) -> dict[str, Any]:
        """Return the single fields of a spec, None where not given.

        Raises SpecError if `concurrency` and `users` differ.
        """
        if None not in (self.users, self.concurrency) and self.users != self.concurrency:
            what = f"users ({self.users}) and concurrency ({self.concurrency}) mean the same but differ"
            raise SpecError(Problem(what, "conflict", path="concurrency", hint="give only one of them"))
        apart = ("spec", "concurrency", *_LIMITS)
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in apart}
        values["users"] = self.concurrency if self.users is None else self.users
        limits = [(form, getattr(self, name)) for name, form in _LIMITS.items()]
        rules = [form.format(limit) for form, limit in limits if limit is not None]
        if rules:
            values["thresholds"] = [*(self.thresholds or ()), *rules]
        return values

    def document(self) -> dict[str, Any]:
        """Return the spec. Raises SpecError if neither form is given, or both."""
        return spec_of(self.spec, self.single_fields())


TestArguments = Annotated[SpecParameters, ParameterGroup(SpecParameters)]
_LIMITS = {
    "max_latency_p50_ms": "p50 <= {:.12g}ms",
    "max_latency_p95_ms": "p95 <= {:.12g}ms",
    "max_latency_p99_ms": "p99 <= {:.12g}ms",
    "max_error_rate": "error_rate <= {:.12g}",
}
"""Arguments that are shorthand for a threshold."""


def spec_of(given: dict[str, Any] | str | None, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the spec of the arguments; `fields` are the single ones, None where not given.

    Raises SpecError if neither form is given, or both.
    """
    present = {name: value for name, value in fields.items() if value is not None}
    if given is None:
        return _flat(present)
    document = read_spec_text(given.encode(), "").data if isinstance(given, str) else dict(given)
    both = sorted(set(present) - {"name"})
    if both:
        hint = f"omit {', '.join(both)}, or put them into the spec"
        raise SpecError(Problem("spec and single fields were both given", "conflict", path=both[0], hint=hint))
    return {**document, **present}


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    if "url" not in fields and "endpoints" not in fields:
        what = "no target: give url, endpoints, spec or the name of a stored test"
        raise SpecError(Problem(what, "missing_argument", path="url", hint='url="http://127.0.0.1:8080/"'))
    users, rate, warm_up = (fields.pop(name, None) for name in ("users", "requests_per_second", "warm_up"))
    if warm_up is not None:
        load = {"rate": rate, "max_in_flight": users} if rate is not None else {"users": users}
        fields["load"] = {**{name: value for name, value in load.items() if value is not None}, "warm_up": warm_up}
    else:
        ends = {"requests_per_second": rate, "concurrency": users}
        fields |= {name: value for name, value in ends.items() if value is not None}
    first = fields.get("url") or fields["endpoints"][0].get("url", "endpoints")
    return {"name": f"{fields.get('method', 'GET')} {first}"[:256], **fields}
