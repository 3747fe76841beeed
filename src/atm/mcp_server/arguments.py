"""Arguments that several tools take, each described once, and how flat ones become a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from atm.errors import Problem, SpecError
from atm.plan.spec_reader import read_spec_text

RunId = Annotated[
    str, Field(min_length=1, max_length=64, description="Id of a run, its beginning, or `last`.", examples=["last"])
]
Spec = Annotated[
    dict[str, Any] | str | None,
    Field(
        description="A whole test spec, as an object or as YAML text, instead of the single fields; "
        "its JSON Schema is resource atm://schema/spec.",
    ),
]
Name = Annotated[str | None, Field(min_length=1, max_length=256, description="How lists and reports call the test.")]
Url = Annotated[
    str | None,
    Field(max_length=8192, description="Where requests go: http:// or https://.", examples=["http://127.0.0.1:8080/"]),
]
Method = Annotated[str | None, Field(max_length=32, description="HTTP method; default GET.", examples=["POST"])]
Headers = Annotated[
    dict[str, str] | None,
    Field(description="Sent with every request. Secrets as {{env:NAME}}, not literally."),
]
Body = Annotated[
    dict[str, Any] | list[Any] | str | None,
    Field(description="Text, or an object or array that is sent as JSON. Templates: {{uuid}}, {{random_int}}."),
]
Users = Annotated[
    int | None,
    Field(
        ge=1,
        le=1_000_000,
        description="Closed model: so many users, each sends its next request when the last was answered. "
        "Default 10. With requests_per_second: the most requests in flight.",
    ),
]
Rate = Annotated[
    float | None,
    Field(
        gt=0,
        le=1_000_000,
        description="Open model, in requests per second: sent at this rate whatever the target does. "
        "The right choice for `can it stand N requests/s?`.",
    ),
]
Duration = Annotated[
    str | float | None,
    Field(description="How long to send: seconds, or `30s`, `5m`.", examples=["30s"]),
]
WarmUp = Annotated[
    str | float | None,
    Field(description="Runs before the measured load and is in no figure: seconds, or `5s`.", examples=["5s"]),
]
Total = Annotated[
    int | None,
    Field(ge=1, le=1_000_000_000, description="Stop after so many requests; default 100 without a duration."),
]
Timeout = Annotated[str | float | None, Field(description="For one request: seconds, or `5s`; default 30 s.")]
Statuses = Annotated[
    list[int | str] | None,
    Field(description="Which status codes are ok; default 200, 201, 204.", examples=[["2xx", 404]]),
]
Thresholds = Annotated[
    list[str] | None,
    Field(
        max_length=50,
        description="What must hold: `p99 < 300ms`, `p95 < 200ms`, `error_rate < 1%`, `rps > 100`, `ok p99 < 250ms`.",
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
        description="How requests log in, secrets as {{env:NAME}}: {type: bearer_token, token}, {type: api_key, key}, "
        "{type: basic, username, password}, {type: oauth2_client_credentials, token_url, client_id, client_secret}.",
    ),
]
LimitMs = Annotated[
    float | None, Field(gt=0, le=1e9, description="A threshold on the response time in milliseconds; see thresholds.")
]
MaxErrorRate = Annotated[
    float | None, Field(ge=0, le=1, description="A threshold: failed of completed requests, 0 to 1.")
]
Concurrency = Annotated[int | None, Field(ge=1, le=1_000_000, description="The same as users.")]
Tags = Annotated[list[str], Field(max_length=20, description="To find the run again.")]
Notes = Annotated[str, Field(max_length=2000, description="For people: why this was run.")]
Wait = Annotated[
    float,
    Field(ge=0, le=600, description="Wait so many seconds for the end and answer with the result; 0: answer at once."),
]
Full = Annotated[
    bool, Field(description="true: everything, endpoints and spec too; false: what fits in a short answer.")
]


FIELDS = (
    *("name", "url", "method", "headers", "body", "endpoints", "requests_per_second", "users", "duration"),
    *("total_requests", "warm_up", "thresholds", "expected_status_codes", "timeout", "variables", "auth"),
)
"""The arguments above that make a spec together, as a tool has them among its own."""
_LIMITS = {
    "max_latency_p50_ms": "p50 <= {:.12g}ms",
    "max_latency_p95_ms": "p95 <= {:.12g}ms",
    "max_latency_p99_ms": "p99 <= {:.12g}ms",
    "max_error_rate": "error_rate <= {:.12g}",
}
"""Arguments that are short for a threshold."""


def fields_of(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a tool's arguments that make a spec, null where they were not given.

    Raises SpecError where `concurrency` and `users` contradict each other.
    """
    fields = {name: arguments[name] for name in FIELDS}
    users, concurrency = fields["users"], arguments["concurrency"]
    if None not in (users, concurrency) and users != concurrency:
        what = f"users ({users}) and concurrency ({concurrency}) are the same thing"
        raise SpecError(Problem(what, "conflict", path="concurrency", hint="leave one of them out"))
    fields["users"] = concurrency if users is None else users
    limits = [form.format(arguments[name]) for name, form in _LIMITS.items() if arguments[name] is not None]
    if limits:
        fields["thresholds"] = [*(fields["thresholds"] or ()), *limits]
    return fields


def spec_of(given: dict[str, Any] | str | None, fields: dict[str, Any]) -> dict[str, Any]:
    """The spec that the arguments stand for; `fields` are the single ones, null where they were not given.

    Raises SpecError where there is none, or both forms contradict each other.
    """
    written = {name: value for name, value in fields.items() if value is not None}
    if given is None:
        return _flat(written)
    document = read_spec_text(given.encode(), "").data if isinstance(given, str) else dict(given)
    both = sorted(set(written) - {"name"})
    if both:
        hint = f"leave out {', '.join(both)}, or write them into the spec"
        raise SpecError(Problem("spec and single fields were both given", "conflict", path=both[0], hint=hint))
    return {**document, **written}


def _flat(written: dict[str, Any]) -> dict[str, Any]:
    if "url" not in written and "endpoints" not in written:
        what = "there is nothing to load: give url, endpoints, spec or the name of a kept test"
        raise SpecError(Problem(what, "missing_argument", path="url", hint='url="http://127.0.0.1:8080/"'))
    users, rate, warm_up = (written.pop(name, None) for name in ("users", "requests_per_second", "warm_up"))
    if warm_up is not None:
        load = {"rate": rate, "max_in_flight": users} if rate is not None else {"users": users}
        written["load"] = {**{name: value for name, value in load.items() if value is not None}, "warm_up": warm_up}
    else:
        ends = {"requests_per_second": rate, "concurrency": users}
        written |= {name: value for name, value in ends.items() if value is not None}
    first = written.get("url") or written["endpoints"][0].get("url", "endpoints")
    return {"name": f"{written.get('method', 'GET')} {first}"[:256], **written}
