"""Values of users: extracts, templates, conditions, checks, cookies and sessions, on both engines."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from atm.engine.base import Capability, Engine
from atm.models.outcome import Outcome
from atm.plan.connections import Connections
from atm.plan.load_plan import Header, Sampling, Step
from atm.plan.program import (
    All,
    Check,
    CheckName,
    Comparison,
    Condition,
    Extract,
    LoopOp,
    Negation,
    Op,
    RequestOp,
    Slot,
    Subject,
    UnlessOp,
)
from atm.plan.randomness import below, draw_at, random_string, uuid4_at
from atm.plan.template_parts import (
    Encoding,
    IterationSource,
    RandomIntSource,
    RandomStringSource,
    TextSource,
    UserSource,
    UuidSource,
)
from atm.testing import TargetServer
from tests.contract.engine_runs import Ran, run
from tests.contract.plans import closed, http, opened, plan, step
from tests.contract.scenario_plans import (
    SEED,
    books,
    evaluations,
    parts,
    paths,
    requests,
    returning,
    scenario,
    value,
)

pytestmark = pytest.mark.needs(Capability.SCENARIOS)

STOCK = '{"items": [{"id": 7, "name": "täst"}, {"id": 8, "name": "b\\"c"}], "stock": 2.50, "open": true}'


def extract(slot: int, kind: Any, text: str = "", **fields: Any) -> Extract:
    """An extract; fields of the subject go to it."""
    of_subject = {name: fields.pop(name) for name in ("pick", "place") if name in fields}
    return Extract(slot, Subject(kind, text, **of_subject), text or kind, **fields)


def compare(subject: Subject | int, operator: Any, operand: Any = None, **fields: Any) -> Comparison:
    """A comparison; a number is a slot."""
    if isinstance(subject, int):
        subject = Subject("value", value=value(subject))
    return Comparison(subject, operator, operand, **fields)


def check(number: int, condition: Condition, text: str = "it", *, counts_only: bool = False) -> Check:
    return Check(number, condition, text, counts_only)


def get(*pieces: Any, headers: tuple[Header, ...] = (), **fields: Any) -> Step:
    """A GET whose target has values."""
    made = step(**fields)
    return replace(made, target=parts(*pieces), headers=(*made.headers, *headers))


def post(*pieces: Any) -> Step:
    """A POST whose body has values."""
    return replace(step("/echo", method="POST"), body=parts(*pieces))


def sent_bodies(target: TargetServer) -> list[bytes]:
    """The bodies of the POST requests, whose Content-Length must be theirs."""
    bodies = []
    for request in target.captured():
        head, _, body = (request.raw or b"").partition(b"\r\n\r\n")
        if head.startswith(b"POST"):
            assert f"Content-Length: {len(body)}".encode() in head
            bodies.append(body)
    return bodies


def test_an_extract_reads_the_variables_that_earlier_ones_of_its_step_have_set(
    engine: Engine, target: TargetServer
) -> None:
    copy = Subject("value", value=value(0, "upper"))
    answered = replace(
        returning('{"a": "one", "b": "two"}'),
        extracts=(
            Extract(1, copy, "before", has_default=True, default="unset"),
            extract(0, "json", "$.a"),
            Extract(2, copy, "after"),
            extract(0, "json", "$.b"),
            Extract(3, copy, "again"),
        ),
    )
    bodies = post(*(piece for slot in range(4) for piece in (value(slot), ",")))
    run(engine, scenario(target, requests(0, 1), answered, bodies, slots=["a", "b", "c", "d"], total=3))
    assert sent_bodies(target) == [b"two,unset,ONE,TWO,"] * 3


def test_matches_after_the_first_10_000_are_ignored(engine: Engine, target: TargetServer) -> None:
    answered = replace(
        returning("ab" * 10_001),
        extracts=(
            extract(0, "regex", "a", pick="count"),
            extract(1, "regex", "ab?", pick="all"),
        ),
    )
    run(engine, scenario(target, requests(0, 1), answered, post(value(0), value(1)), slots=["n", "all"], total=1))
    assert sent_bodies(target) == [b"10000[" + b",".join([b'"ab"'] * 10_000) + b"]"]


def test_a_number_beyond_64_bits_is_written_alike_by_both_engines(engine: Engine, target: TargetServer) -> None:
    body = '{"n": [12000000000000000000000, 1.2E+22, 18446744073709551616, -9223372036854775809, 1e-7, 1e300]}'
    answered = replace(returning(body), extracts=(extract(0, "json", "$.n"), extract(1, "json", "$.n[0]")))
    bodies = post(value(0, encoding=Encoding.JSON_VALUE), " ", value(1))
    run(engine, scenario(target, requests(0, 1), answered, bodies, slots=["n", "first"], total=1))
    written = "[1.2e22,1.2e22,1.8446744073709552e19,-9.223372036854776e18,1e-7,1e300] 1.2e22"
    assert sent_bodies(target) == [written.encode()]


def test_an_extract_goes_into_the_next_url_and_none_is_sampled_from_another_iteration(
    engine: Engine, target: TargetServer
) -> None:
    list_step = replace(
        returning(STOCK, headers=[("Location", "/there is?a=ä")]),
        extracts=(
            extract(0, "json", "$.items[*].id", pick="random", place=3),
            extract(1, "json", "$.items[0].name"),
            extract(2, "regex", '"stock": ([0-9.]+)'),
        ),
    )
    open_step = get(
        "/echo/raw?id=",
        value(0, encoding=Encoding.TARGET),
        "&name=",
        value(1, encoding=Encoding.PERCENT),
        "&s=",
        value(2),
    )
    ran = run(engine, scenario(target, requests(0, 1), list_step, open_step, slots="abc", total=12))
    assert books(ran) == (12, 12, 0, 0)
    drawn = [(7, 8)[below(draw_at(SEED, iteration, 3, 0), 2)] for iteration in range(1, 13)]
    assert paths(target)[1::2] == [f"/echo/raw?id={number}&name=t%C3%A4st&s=2.50" for number in drawn]


def test_json_values_keep_their_type(engine: Engine, target: TargetServer) -> None:
    names = ("$.stock", "$.items[1].name", "$.open", "$.items[0]", "$.nothing")
    list_step = replace(
        returning(STOCK),
        extracts=tuple(extract(slot, "json", text, has_default=text == "$.nothing") for slot, text in enumerate(names)),
    )
    typed = [piece for slot in range(5) for piece in (f', "{slot}": ', value(slot, encoding=Encoding.JSON_VALUE))]
    texts = [piece for slot in range(5) for piece in ("|", value(slot, encoding=Encoding.JSON))]
    order = post('{"n": 1', *typed, ', "text": "', *texts, '"}')
    ran = run(engine, scenario(target, requests(0, 1), list_step, order, slots="abcde", total=2))
    assert ran.total().ok == 4
    body = (
        '{"n": 1, "0": 2.5, "1": "b\\"c", "2": true, "3": {"id":7,"name":"täst"}, "4": null, '
        '"text": "|2.5|b\\"c|true|{\\"id\\":7,\\"name\\":\\"täst\\"}|null"}'
    )
    assert [sent.decode() for sent in sent_bodies(target)] == [body] * 2
    json.loads(body)


def test_no_value_ends_the_line_that_it_is_in(engine: Engine, target: TargetServer) -> None:
    hostile = "a\r\nX-Evil: 1\r\n\r\nGET /evil HTTP/1.1 ä\t%"
    first = replace(
        returning(json.dumps({"text": hostile}, ensure_ascii=False)), extracts=(extract(0, "json", "$.text"),)
    )
    made = replace(
        get("/echo/raw?a=", value(0), "&b=", value(0, encoding=Encoding.TARGET)),
        headers=(Header("Host", parts("t")), Header("X-A", parts("<", value(0), ">"))),
    )
    ran = run(engine, scenario(target, requests(0, 1), first, made, slots="a", total=2))
    assert ran.total().ok == 4
    coded = "a%0D%0AX-Evil:%201%0D%0A%0D%0AGET%20/evil%20HTTP/1.1%20%C3%A4%09%"
    raw = f"GET /echo/raw?a={coded}&b={coded} HTTP/1.1\r\nHost: t\r\nX-A: <aX-Evil: 1GET /evil HTTP/1.1 ä\t%>\r\n\r\n"
    assert [(request.raw or b"").decode() for request in target.captured()[1::2]] == [raw] * 2


def test_functions_are_drawn_for_iteration_place_and_round(engine: Engine, target: TargetServer) -> None:
    made = get(
        "/echo/raw?u=", value(UuidSource(1)), "&n=", value(RandomIntSource(5, 9, 4)),
        "&s=", value(RandomStringSource(6, 5)), "&i=", value(IterationSource()),
        "&h=", value(TextSource("a b"), "sha256"),
    )  # fmt: skip
    program: list[Op] = [RequestOp(0), LoopOp(0, 2, 0)]
    run(engine, scenario(target, program, made, total=3))
    digest = hashlib.sha256(b"a b").hexdigest()
    assert paths(target) == [
        f"/echo/raw?u={uuid4_at(SEED, number, 1, turn)}&n={5 + below(draw_at(SEED, number, 4, turn), 5)}"
        f"&s={random_string(draw_at(SEED, number, 5, turn), 6)}&i={number}&h={digest}"
        for number in range(1, 4)
        for turn in range(2)
    ]


def test_a_user_has_a_number_in_the_closed_model_and_that_of_its_iteration_in_the_open(
    engine: Engine, target: TargetServer
) -> None:
    made = get("/echo/raw?u=", value(UserSource()), "&i=", value(IterationSource()))
    run(engine, scenario(target, requests(0), made, load=closed(3), total=30))
    users = [path.partition("u=")[2].partition("&")[0] for path in paths(target)]
    assert set(users) == {"1", "2", "3"}
    target.reset()
    run(engine, scenario(target, requests(0), made, load=opened(200), total=10))
    assert sorted(paths(target)) == sorted(f"/echo/raw?u={number}&i={number}" for number in range(1, 11))


def test_values_of_endpoints_without_a_program(engine: Engine, target: TargetServer) -> None:
    made = replace(
        get("/echo/raw?i=", value(IterationSource()), "&u=", value(UuidSource(2))),
        named_checks=(check(0, compare(Subject("status"), "eq", 200)),),
    )
    ran = run(engine, plan(http(target), made, seed=SEED, total=4, checks=(CheckName("ok", 0),)))
    assert paths(target) == [f"/echo/raw?i={number}&u={uuid4_at(SEED, number, 2, 0)}" for number in range(1, 5)]
    assert evaluations(ran) == {0: (4, 0)}
    assert all(not interval.iterations for interval in ran.intervals)


def test_checks_are_counted_and_the_first_failure_fails_the_request(engine: Engine, target: TargetServer) -> None:
    checks = (
        check(0, compare(Subject("status"), "in", [200, 201]), "status in [200, 201]"),
        check(1, compare(Subject("json", "$.stock"), "gt", 3), "$.stock > 3", counts_only=True),
        check(2, compare(Subject("json", "$.items[*]", pick="count"), "eq", 2), "$.items[*] | count == 2"),
        check(2, All((compare(Subject("time"), "lt", 0), compare(Subject("size"), "gt", 0))), "time < 0 and size > 0"),
        check(3, Negation(compare(Subject("body"), "contains", "täst")), "not body contains"),
    )
    made = replace(returning(STOCK), named_checks=checks)
    names = ("status in [200, 201]", "enough", "fast", "not body contains")
    ran = run(engine, scenario(target, requests(0, 0), made, checks=names, total=5))
    assert evaluations(ran) == {0: (10, 0), 1: (0, 10), 2: (10, 10), 3: (0, 10)}
    assert ran.failures == {(Outcome.CHECK_FAILED, 'check "fast" failed: time < 0 and size > 0'): 10}
    assert books(ran) == (5, 5, 0, 0)


def test_checks_are_counted_whatever_the_status_which_comes_first(engine: Engine, target: TargetServer) -> None:
    made = replace(
        returning("no", status=503),
        named_checks=(check(0, compare(Subject("body"), "eq", "yes"), "body == yes"),),
        extracts=(extract(0, "status"),),
    )
    ran = run(engine, scenario(target, requests(0), made, slots="a", checks=["c"], total=3))
    assert evaluations(ran) == {0: (0, 3)}
    assert ran.failures == {(Outcome.UNEXPECTED_STATUS, "503, expected 2xx"): 3}


def test_a_check_that_is_named_as_it_is_written_and_one_that_is_not(engine: Engine, target: TargetServer) -> None:
    for name, message in (("body == x", "check failed: body == x"), ("n", 'check "n" failed: body == x')):
        made = replace(returning("y"), named_checks=(check(0, compare(Subject("body"), "eq", "x"), "body == x"),))
        ran = run(engine, scenario(target, requests(0), made, checks=[name], total=1))
        assert ran.failures == {(Outcome.CHECK_FAILED, message): 1}


def test_a_missing_extract_fails_the_request_and_ends_the_iteration(engine: Engine, target: TargetServer) -> None:
    made = replace(returning(STOCK), extracts=(extract(0, "json", "$.none"), extract(1, "json", "$.open")))
    last = get("/echo/raw?a=", value(0), "&b=", value(1))
    ran = run(engine, scenario(target, requests(0, 1), made, last, slots=("order", "b"), total=3))
    assert ran.failures == {(Outcome.CHECK_FAILED, "nothing to extract for order: $.none"): 3}
    assert books(ran) == (3, 0, 3, 0)
    assert ran.total(1).not_reached == 3
    target.reset()
    program: list[Op] = [RequestOp(0, on_error="continue"), RequestOp(1)]
    ran = run(engine, scenario(target, program, made, last, slots=("order", "b"), total=2))
    # The slot is unset, which is the empty text, and later extracts have been applied.
    assert paths(target)[1::2] == ["/echo/raw?a=&b=true"] * 2
    assert books(ran) == (2, 2, 0, 0)


def test_a_condition_on_values_decides_what_is_sent(engine: Engine, target: TargetServer) -> None:
    first = replace(
        returning(STOCK),
        extracts=(extract(0, "json", "$.stock"), extract(1, "header", "x-none", has_default=True, default="d")),
    )
    true = (compare(0, "gt", 2), compare(0, "eq", 2.5), compare(1, "eq", "d"), compare(2, "missing"))
    false = (compare(0, "lt", 2), compare(2, "exists"), compare(2, "ne", 1), Negation(compare(1, "contains", "d")))
    program: list[Op] = [RequestOp(0)]
    for condition in (*true, *false):
        program += [UnlessOp(condition, len(program) + 2), RequestOp(1 if condition in true else 2)]
    yes, no = step("/echo/raw?yes"), step("/echo/raw?no")
    ran = run(engine, scenario(target, program, first, yes, no, slots="abc", total=3))
    assert [ran.total(endpoint).ok for endpoint in range(3)] == [3, 12, 0]
    assert ran.total(2).not_reached == 3


def test_a_session_is_new_with_each_iteration_or_stays_with_the_user(engine: Engine, target: TargetServer) -> None:
    first = get("/echo/raw?had=", value(0, encoding=Encoding.TARGET))
    login = replace(
        returning("", headers=[("Set-Cookie", "id=a; Path=/"), ("X-Token", "t")]),
        extracts=(extract(0, "header", "X-Token"),),
    )
    for keeps, second_has in ((False, ("", "")), (True, ("t", "id=a"))):
        target.reset()
        made = scenario(
            target, requests(0, 1), first, login, slots="a", total=3,
            flow={"keeps_session": keeps, "uses_cookies": True},
        )  # fmt: skip
        run(engine, made)
        had = [path.partition("=")[2] for path in paths(target)[::2]]
        assert had == ["", second_has[0], second_has[0]]
        assert cookies(target)[::2] == ["", second_has[1], second_has[1]]


def cookies(target: TargetServer) -> list[str]:
    """The Cookie header of each request, empty without one."""
    found = []
    for request in target.captured():
        lines = (request.raw or b"").partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        values = [line.partition(": ")[2] for line in lines if line.lower().startswith("cookie:")]
        assert len(values) <= 1
        found.append("".join(values))
    return found


def test_cookies_are_stored_and_sent_after_the_steps_own_headers(engine: Engine, target: TargetServer) -> None:
    setting = returning(
        "", headers=[("Set-Cookie", "a=1"), ("set-cookie", "b=2; Path=/echo"), ("Set-Cookie", "c=3; Secure")]
    )
    plain = step("/echo/raw", method="POST", headers=(("X-A", "x"),), body="b")
    own = step("/echo/raw", headers=(("Cookie", "own=0"), ("X-B", "y")))
    run(engine, scenario(target, requests(0, 1, 2), setting, plain, own, total=1, flow={"uses_cookies": True}))
    raw = [(request.raw or b"").decode() for request in target.captured()]
    assert raw[1] == (
        "POST /echo/raw HTTP/1.1\r\nHost: target.test\r\nX-A: x\r\nCookie: b=2; a=1\r\nContent-Length: 1\r\n\r\nb"
    )
    assert raw[2] == "GET /echo/raw HTTP/1.1\r\nHost: target.test\r\nCookie: own=0; b=2; a=1\r\nX-B: y\r\n\r\n"


def test_without_a_jar_no_cookie_is_kept(engine: Engine, target: TargetServer) -> None:
    run(
        engine,
        scenario(target, requests(0, 1), returning("", headers=[("Set-Cookie", "a=1")]), step("/echo/raw"), total=2),
    )
    assert cookies(target) == [""] * 4


def test_a_cookie_of_a_redirect_is_sent_with_the_next_hop(engine: Engine, target: TargetServer) -> None:
    first = returning(
        "",
        status=302,
        headers=[("Location", "/echo/raw"), ("Set-Cookie", "hop=1; Path=/"), ("Set-Cookie", "no=1; Path=/x")],
    )
    ran = run(
        engine,
        scenario(
            target, requests(0, 0), first, total=1, flow={"uses_cookies": True}, connections=Connections(redirects=3)
        ),
    )
    assert ran.total().redirect_hops == 2
    assert cookies(target) == ["", "hop=1", "hop=1", "hop=1"]


def samples_text(ran: Ran) -> str:
    return repr(ran.samples)


def test_secret_values_are_masked_in_samples(engine: Engine, target: TargetServer) -> None:
    login = replace(returning('{"token": "very-secret", "pin": 42}'), extracts=(
        extract(0, "json", "$.token"), extract(1, "json", "$.pin")))  # fmt: skip
    use = replace(
        step("/echo", method="POST"),
        target=parts(
            "/echo?t=", value(0, encoding=Encoding.TARGET), "&pin=", value(1), "&id=", value(2, is_secret=True)
        ),
        headers=(Header("Host", parts("target.test")), Header("X-Auth", parts("Bearer ", value(0, "base64")))),
        body=parts('{"t": ', value(0, encoding=Encoding.JSON_VALUE), "}"),
    )
    slots = (Slot("token", is_secret=True), Slot("pin", is_secret=True), Slot("id"))
    every = Sampling(first_per_endpoint=10, failures_per_kind=0, slowest=0)
    ran = run(engine, scenario(target, requests(0, 1), login, use, slots=slots, total=2, sampling=every))
    assert len(ran.samples) == 4
    assert b"very-secret" in (target.captured()[1].raw or b"")
    assert "very-secret" not in samples_text(ran)
    sample = next(sample for sample in ran.samples if sample.endpoint == 1)
    assert sample.url.endswith("/echo?t=***&pin=***&id=***")
    assert sample.request.body == '{"t": ***}'
    headers = dict(sample.request.headers)
    assert "***" in headers["X-Auth"]
    assert headers["Content-Length"] == str(len('{"t": "very-secret"}'))
