from __future__ import annotations

from typing import Any

import pytest

from atm.errors import SpecError
from atm.plan.compile import compile_plan
from atm.plan.document import SpecDocument
from atm.plan.load_plan import Load, LoadPlan, Segment
from atm.plan.overrides import Overrides, with_overrides
from atm.plan.spec_reader import read_spec_text
from atm.plan.template_parts import LiteralPart

SECOND = 1_000_000_000
SPEC = b"""\
name: shop
endpoints:
  - {name: a, url: "http://h/a", headers: {X-A: "1"}, timeout: 9s, expected_status_codes: [500]}
  - {name: b, url: "http://h/b", method: POST, body: x}
total_requests: 50
timeout_seconds: 3
"""


def plan(spec: bytes | dict[str, Any] = SPEC, **flags: Any) -> LoadPlan:
    document = read_spec_text(spec, "shop.yaml") if isinstance(spec, bytes) else SpecDocument(spec)
    return compile_plan(with_overrides(document, Overrides(**flags)), {}).plan


def load(spec: bytes | dict[str, Any] = SPEC, **flags: Any) -> Load:
    return plan(spec, **flags).lanes[0].load


def test_without_flags_nothing_changes() -> None:
    document = read_spec_text(SPEC, "shop.yaml")
    assert with_overrides(document, Overrides()) == document


def test_a_url_alone_makes_a_spec() -> None:
    made = plan({}, url="http://h:81/x?key=1", rate=50, duration="30s")
    assert (made.name, made.endpoints, made.lanes[0].load.model) == ("http://h:81/x", ("GET /x",), "open")
    assert (made.lanes[0].duration_ns, made.total) == (30 * SECOND, None)


def test_the_end_on_the_command_line_replaces_the_one_of_the_spec() -> None:
    assert (plan(duration="5s").total, plan(duration="5s").lanes[0].duration_ns) == (None, 5 * SECOND)
    spec = {"name": "a", "url": "http://h/", "duration_seconds": 60}
    assert (plan(spec, requests=7).total, plan(spec, requests=7).lanes[0].duration_ns) == (7, None)
    both = plan(spec, requests=7, duration=5)
    assert (both.total, both.lanes[0].duration_ns) == (7, 5 * SECOND)


CLOSED = {"name": "a", "url": "http://h/", "load": {"users": 5, "max_rate": 10, "warm_up": "1s"}}
OPEN = {"name": "a", "url": "http://h/", "load": {"rate": 5, "arrival": "poisson", "max_in_flight": 3}}
STAGED = {"name": "a", "url": "http://h/", "load": {"model": "closed", "stages": [{"duration": 1, "target": 5}]}}


def test_a_rate_makes_the_load_open_and_drops_what_belongs_to_users() -> None:
    made = load(CLOSED, rate=40)
    assert (made.model, made.segments, made.max_rate, made.warm_up_ns) == (
        "open",
        (Segment(40, 40, None),),
        None,
        SECOND,
    )
    assert load(STAGED, rate=40).segments == (Segment(40, 40, None),)
    assert (load(OPEN, rate=40).arrival, load(OPEN, rate=40).max_in_flight) == (
        "poisson",
        3,
    )
    assert load(rate=40).model == "open"


def test_concurrency_is_users_or_the_limit_of_an_open_load() -> None:
    assert load(CLOSED, concurrency=9).segments == (Segment(9, 9, None),)
    assert load(OPEN, concurrency=9).max_in_flight == 9
    assert load(STAGED, concurrency=9).segments == (Segment(9, 9, None),)
    assert load(concurrency=9).segments == (Segment(9, 9, None),)
    flat = load(concurrency=9, rate=20)
    assert (flat.model, flat.max_in_flight) == ("open", 9)
    assert load(CLOSED, concurrency=9, rate=20).max_in_flight == 9


def test_stages_are_rates_unless_the_spec_or_the_flags_speak_of_users() -> None:
    assert load(stages="10s:100,1m:500").segments == (
        Segment(0, 100, 10 * SECOND),
        Segment(100, 500, 60 * SECOND),
    )
    assert load(stages="10s:100").model == "open"
    assert load(CLOSED, stages="10s:100").model == "closed"
    assert load(OPEN, stages="10s:100").model == "open"
    assert load(stages="10s:100", concurrency=4).segments == (Segment(4, 100, 10 * SECOND),)
    assert load(stages="10s:100", rate=4).segments == (Segment(4, 100, 10 * SECOND),)
    assert load(stages="10s:100", rate=4, concurrency=7).max_in_flight == 7


def test_a_warm_up_joins_the_load_however_it_is_written() -> None:
    made = load({"name": "a", "url": "http://h/", "requests_per_second": 5, "concurrency": 2}, warm_up="2s")
    assert (made.model, made.warm_up_ns, made.warm_up_level, made.max_in_flight) == ("open", 2 * SECOND, 5, 2)
    assert load(warm_up=1).segments == (Segment(10, 10, None),)


def test_what_concerns_requests_holds_for_every_endpoint() -> None:
    made = plan(timeout="1s", expect_status=("2xx",), method="PUT", data="d", expect_body="ok", headers=("x-a: 2",))
    for flow in made.flows:
        step = flow.steps[0]
        assert (step.timeout_ns, step.expected_statuses, step.method) == (SECOND, ((200, 299),), "PUT")
        assert step.body == (LiteralPart("d"),)
        assert step.checks[0].pattern == "ok"
        assert [header.value for header in step.headers if header.name.lower() == "x-a"] == [(LiteralPart("2"),)]


def test_header_flags_repeat_leave_out_and_send_empty_ones() -> None:
    flags = ("X-A: 1", "x-a: 2", "X-B:", "X-C;", "Accept:", "X-D: 1", "X-D:", "X-D: 2")
    spec = {"name": "a", "url": "http://h/", "headers": {"X-A": "0", "X-B": "0"}}
    lines = plan(spec, headers=flags).flows[0].steps[0].headers[2:]
    values = [(line.name, *(part.text for part in line.value if isinstance(part, LiteralPart))) for line in lines]
    assert values == [("x-a", "1"), ("x-a", "2"), ("X-C",), ("X-D", "2")]


def test_thresholds_variables_and_tls_are_added() -> None:
    spec = {"name": "a", "url": "{{base}}/", "thresholds": ["p99 < 1s"], "variables": {"base": "http://h"}}
    made = plan(spec, thresholds=("rps > 5",), variables=("base=https://x",), insecure=True, connect_to=("x:443:h:1",))
    assert [threshold.expression for threshold in made.thresholds] == ["p99 < 1 s", "rps > 5"]
    assert (made.origins[0].host, made.origins[0].connect_host) == ("x", "h")
    assert made.connections.tls.insecure
    named = {"name": "a", "url": "http://h/", "thresholds": {"max_error_rate": 0.1}}
    assert len(plan(named, thresholds=("rps > 5",)).thresholds) == 2


@pytest.mark.parametrize(
    ("flags", "lines"),
    [
        ({"rate": 0}, ("requests_per_second must be more than 0, not 0", "requests_per_second, --rate")),
        ({"duration": "soon"}, ('duration: "soon" is not a duration', "duration, --duration")),
        ({"stages": "10s:100,60"}, ('"60" is not a stage', "at: --stages", "`--stages 30s:100,1m:500`")),
        ({"stages": "10s:many"}, ("load.stages[0].target", "--stages")),
        ({"headers": ("Authorization",)}, ('"Authorization" is not a header', "at: --header", "-H 'Name: value'")),
        ({"variables": ("base",)}, ('"base" has no value for the variable', "at: --var", "`--var base=VALUE`")),
        ({"thresholds": ("p99 <",)}, ("needs a number of 0 or more", "thresholds.expressions[0], --threshold")),
        ({"headers": ("X A: b",)}, ('"X A" is not a valid header name', "headers.X A, --header")),
        ({"timeout": "x"}, ('timeout: "x" is not a duration', "timeout, --timeout")),
        ({"method": "A B"}, ('"A B" is not an HTTP method', "endpoints[0].method, --method")),
    ],
)
def test_a_problem_with_a_flag_is_placed_at_the_flag(flags: dict[str, Any], lines: tuple[str, ...]) -> None:
    with pytest.raises(SpecError) as error:
        plan(**flags)
    assert all(line in str(error.value) for line in lines)
    assert "shop.yaml" not in str(error.value)


def test_flags_that_cannot_be_read_are_told_together_with_the_rest() -> None:
    with pytest.raises(SpecError) as error:
        plan(headers=("nonsense",), variables=("x",), stages="soon", timeout="x")
    assert [problem.code for problem in error.value.problems] == [
        "bad_stage", "bad_header", "bad_variable", "bad_duration",
    ]  # fmt: skip


def test_a_body_flag_replaces_every_other_body_and_its_problems_are_placed_at_the_flag() -> None:
    document = with_overrides(read_spec_text(SPEC, "shop.yaml"), Overrides(json_body='{"a": "{{uuid}}"}'))
    assert [endpoint["json"] for endpoint in document.data["endpoints"]] == [{"a": "{{uuid}}"}] * 2
    assert "body" not in document.data["endpoints"][1]
    with pytest.raises(SpecError) as error:
        plan(json_body='{"a": "{{missing}}"}')
    assert "--json-body" in str(error.value)
    scenarios = {"name": "a", "scenarios": {"one": {"steps": [{"GET": "http://h/"}]}}}
    with pytest.raises(SpecError, match="--form is for a single request"):
        plan(scenarios, form=("a=1",))


def test_credentials_of_flags_replace_those_of_the_spec_but_not_those_of_an_endpoint() -> None:
    spec = {
        "name": "a",
        "auth": {"type": "api_key", "key": "k"},
        "endpoints": [{"url": "http://h/", "auth": {"type": "none"}}, {"url": "http://h/b"}],
    }
    data = with_overrides(SpecDocument(spec), Overrides(bearer="t")).data
    assert data["auth"] == {"type": "bearer_token", "token": "t"}
    assert data["endpoints"] == spec["endpoints"]


def test_connection_flags_set_the_fields_of_the_spec() -> None:
    flags = Overrides(http2=True, no_keepalive=True, redirects=3, proxy="http://p:1", ca="c", cert="d", key="e")
    data = with_overrides(SpecDocument({"name": "a", "tls": {"server_name": "s"}}), flags).data
    assert data == {
        "name": "a",
        "tls": {"server_name": "s", "ca": "c", "cert": "d", "key": "e"},
        "redirects": 3,
        "proxy": "http://p:1",
        "http_version": "2",
        "keep_alive": False,
    }
