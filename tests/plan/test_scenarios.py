"""Scenarios become flows whose programs mean what the spec says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from atm.models.spec import TestSpec
from atm.plan.compile import CompiledTest, compile_plan
from atm.plan.load_plan import Flow, LoadPlan, Step
from atm.plan.overrides import Overrides, with_overrides
from atm.plan.plan_decoder import decode
from atm.plan.program import CheckName, ChooseOp, JumpOp, LoopOp, RequestOp, Slot, ThinkOp, UnlessOp
from atm.plan.spec_reader import read_spec_text
from atm.plan.template_parts import (
    Encoding,
    Filter,
    IterationSource,
    LiteralPart,
    NowSource,
    RandomChoiceSource,
    RandomIntSource,
    RandomStringSource,
    SecretPart,
    SlotSource,
    Template,
    TextSource,
    UserSource,
    UuidSource,
    ValuePart,
)

TOP = "name: a\nbase_url: http://127.0.0.1/api/\nscenarios:\n  s:\n    steps:\n"
ENVIRONMENT = {"KEY": "k3y-of-the-mac"}


def compiled(*lines: str, top: str = TOP, environment: Mapping[str, str] = ENVIRONMENT) -> CompiledTest:
    """Compile a spec with these lines as the steps of its scenario."""
    text = top + "".join(f"      {line}\n" for line in lines)
    return compile_plan(read_spec_text(text.encode(), "shop.yaml"), environment)


def flow_of(*lines: str, top: str = TOP) -> Flow:
    return compiled(*lines, top=top).plan.flows[0]


def step_of(*lines: str) -> Step:
    return flow_of(*lines).steps[-1]


def values(template: Template | None) -> list[ValuePart]:
    return [part for part in template or () if isinstance(part, ValuePart)]


def literal(template: Template | None) -> str:
    return "".join(part.text for part in template or () if isinstance(part, LiteralPart))


def test_a_request_in_short_form_is_named_after_its_template() -> None:
    test = compiled("- {GET: /x, extract: {id: $.id}}", '- {POST: "/x/{{id}}?q=1", json: {n: 1}}', "- GET: /x")
    assert test.plan.endpoints == ("s/GET /x", "s/POST /x/{{id}}", "s/GET /x (2)")
    assert [step.method for step in test.plan.flows[0].steps] == ["GET", "POST", "GET"]
    assert literal(test.plan.flows[0].steps[1].target) == "/api/x/?q=1"
    assert test.plan.needs == ("scenarios",)
    assert [(request.method, request.url) for request in test.requests][1] == ("POST", "/x/{{id}}?q=1")


def test_a_long_name_is_cut_to_128_characters() -> None:
    name = compiled(f"- GET: /{'x' * 200}").plan.endpoints[0]
    assert len(name) == 128
    assert name.endswith("…")


def test_a_plan_with_a_program_survives_its_encoding() -> None:
    plan = compiled(
        "- {GET: /x, extract: {id: '$.id | random'}, checks: ['not (status == 404 or $.a in [1, b])']}",
        '- {when: id exists, steps: [{POST: /y, json: {id: "{{id}}"}}], otherwise: [{think: exp(2s)}]}',
    ).plan
    assert decode(LoadPlan, json.loads(plan.to_bytes())) == plan


def test_repeat_loops_back_to_its_first_operation() -> None:
    flow = flow_of("- GET: /a", "- {repeat: 3, steps: [{GET: /b}, {repeat: 2, steps: [{GET: /c}]}]}", "- GET: /d")
    assert [type(operation) for operation in flow.program] == [
        RequestOp,
        RequestOp,
        RequestOp,
        LoopOp,
        LoopOp,
        RequestOp,
    ]
    assert flow.program[3:5] == (LoopOp(1, 2, 2), LoopOp(0, 3, 1))
    assert flow.counters == 2


def test_while_leaves_its_counter_at_0() -> None:
    flow = flow_of("- {GET: /a, extract: {next: $.next}}", "- {while: next exists, at_most: 9, steps: [{GET: /b}]}")
    _, unless, _, loop, reset = flow.program
    assert isinstance(unless, UnlessOp)
    assert unless.to == 4
    assert loop == LoopOp(0, 9, 1)
    # A loop that runs once only sets its counter to 0: the condition can end it at any count.
    assert reset == LoopOp(0, 1, 1)


def test_when_and_otherwise_meet_after_both() -> None:
    flow = flow_of(
        "- {GET: /a, extract: {n: $.n}}",
        "- {when: n > 1, steps: [{GET: /b}], otherwise: [{GET: /c}, {GET: /d}]}",
        "- GET: /e",
    )
    unless = flow.program[1]
    assert isinstance(unless, UnlessOp)
    assert (unless.to, flow.program[3]) == (4, JumpOp(6))


def test_when_without_otherwise_needs_no_jump() -> None:
    flow = flow_of("- {GET: /a, extract: {n: $.n}}", "- {when: n > 1, steps: [{GET: /b}]}", "- GET: /e")
    unless = flow.program[1]
    assert isinstance(unless, UnlessOp)
    assert (unless.to, len(flow.program)) == (3, 4)


def test_choose_jumps_to_one_branch_and_then_to_the_end() -> None:
    flow = flow_of("- choose: [{weight: 7, steps: [{GET: /a}]}, {weight: 3, steps: []}]", "- GET: /b")
    choose = flow.program[0]
    assert isinstance(choose, ChooseOp)
    assert (choose.weights, choose.to) == ((7, 3), (1, 3))
    assert flow.program[2:4] == (JumpOp(4), JumpOp(4))


@pytest.mark.parametrize(
    ("text", "distribution", "first", "second"),
    [
        ("2s", "fixed", 2_000_000_000, 0),
        ("1s..4s", "uniform", 1_000_000_000, 4_000_000_000),
        ("exp(3s)", "exponential", 3_000_000_000, 0),
        ("normal(3s, 500ms)", "normal", 3_000_000_000, 500_000_000),
        ("1.5", "fixed", 1_500_000_000, 0),
    ],
)
def test_think_times(text: str, distribution: str, first: int, second: int) -> None:
    think = flow_of(f'- think: "{text}"', "- GET: /a").program[0]
    assert isinstance(think, ThinkOp)
    assert (think.distribution, think.first_ns, think.second_ns) == (distribution, first, second)


def test_random_decisions_have_places_of_their_own() -> None:
    test = compiled(
        "- think: normal(1s, 1s)",
        '- GET: "/{{random_int(1,6)}}/{{random_int(1,6)}}"',
        "- choose: [{steps: [{GET: /a}]}]",
        "- think: 1s..2s",
    )
    flow = test.plan.flows[0]
    first, _, choose = flow.program[:3]
    last = flow.program[-1]
    assert isinstance(first, ThinkOp)
    assert isinstance(choose, ChooseOp)
    assert isinstance(last, ThinkOp)
    sources = [part.source for part in values(flow.steps[0].target)]
    drawn = [source.place for source in sources if isinstance(source, RandomIntSource)]
    places = [first.place, first.place + 1, *drawn, choose.place, last.place, last.place + 1]
    assert len(set(places)) == len(places) == 7


def test_a_block_that_is_used_twice_is_counted_once() -> None:
    top = "blocks: {login: [{POST: /login, name: login, checks: [status == 200]}]}\n" + TOP
    test = compiled("- use: login", "- GET: /x", "- use: login", top=top)
    assert test.plan.endpoints == ("s/login", "s/GET /x")
    assert [step.endpoint for step in test.plan.flows[0].steps] == [0, 1, 0]
    assert test.plan.checks == (CheckName("status == 200", 0),)


def test_a_block_of_two_scenarios_has_a_name_in_each() -> None:
    text = (
        "name: a\nbase_url: http://h\nblocks: {l: [{GET: /l}]}\n"
        "scenarios: {b: {steps: [{use: l}]}, c: {weight: 3, steps: [{use: l}]}}\n"
    )
    plan = compile_plan(read_spec_text(text.encode()), {}).plan
    assert plan.endpoints == ("b/GET /l", "c/GET /l")


def test_an_unused_block_is_noted() -> None:
    test = compiled("- GET: /x", top="blocks: {l: [{GET: /l}]}\n" + TOP)
    assert [note.what for note in test.notes] == ['no scenario uses the block "l", so it was not checked']


def test_an_extracted_value_keeps_its_type_where_it_is_the_whole_string() -> None:
    body = step_of(
        "- {GET: /x, extract: {n: $.n}}",
        '- {POST: /y, json: {n: "{{n}}", text: "a{{n}}", j: "{{n|json}}", u: "{{user}}"}}',
    ).body
    assert literal(body) == '{"n":,"text":"a","j":,"u":""}'
    assert [(part.encoding, part.filters) for part in values(body)] == [
        (Encoding.JSON_VALUE, ()),
        (Encoding.JSON, ()),
        (Encoding.RAW, (Filter("json"),)),
        (Encoding.JSON, ()),
    ]


def test_a_value_has_the_encoding_of_its_place() -> None:
    step = step_of(
        "- {GET: /x, extract: {n: $.n}}",
        '- {POST: "/y/{{n}}/{{n|raw}}", headers: {X-A: "{{n}}"}, body: "{{n}}"}',
    )
    assert [part.encoding for part in values(step.target)] == [Encoding.PERCENT, Encoding.TARGET]
    assert [part.encoding for header in step.headers for part in values(header.value)] == [Encoding.HEADER]
    assert [part.encoding for part in values(step.body)] == [Encoding.RAW]


def test_functions_and_filters() -> None:
    step = step_of(
        '- {POST: /y, body: "{{random_int(1, 6)}}{{random_string(8)}}{{random_choice(a, \\"b, c\\")}}{{now(+5m, unix)}}'
        '{{now(-1h)}}{{iteration}}{{user}}{{iteration | sha256 | upper}}"}'
    )
    sources = [part.source for part in values(step.body)]
    assert isinstance(sources[0], RandomIntSource)
    assert (sources[0].low, sources[0].high) == (1, 6)
    assert isinstance(sources[1], RandomStringSource)
    assert sources[1].length == 8
    assert isinstance(sources[2], RandomChoiceSource)
    assert sources[2].choices == ("a", "b, c")
    assert sources[3:7] == [
        NowSource(300_000_000_000, "unix"),
        NowSource(-3_600_000_000_000, "iso"),
        IterationSource(),
        UserSource(),
    ]
    assert values(step.body)[-1].filters == (Filter("sha256"), Filter("upper"))


def test_a_key_of_a_filter_is_a_secret_and_not_in_the_plan() -> None:
    test = compiled('- {POST: /y, headers: {X-Mac: "{{iteration | hmac_sha256(env:KEY)}}"}}')
    part = values(test.plan.flows[0].steps[0].headers[-1].value)[0]
    assert part.filters == (Filter("hmac_sha256", key_slot="env:KEY"),)
    assert test.secrets == {"env:KEY": "k3y-of-the-mac"}
    assert b"k3y" not in test.plan.to_bytes()


def test_a_variable_of_the_spec_can_be_filtered() -> None:
    test = compiled(
        '- GET: "/x/{{word|base64url}}/{{api_token|base64}}"', top="variables: {word: w, api_token: t0k}\n" + TOP
    )
    sources = [part.source for part in values(test.plan.flows[0].steps[0].target)]
    assert sources == [TextSource("w"), TextSource(secret_slot="variables.api_token")]
    assert test.secrets == {"variables.api_token": "t0k"}


def test_every_uuid_of_a_request_is_the_same_and_the_next_request_has_another() -> None:
    flow = flow_of('- {POST: "/a/{{uuid}}", headers: {Key: "{{uuid}}"}}', '- GET: "/b/{{uuid}}"')
    first, second = flow.steps
    parts = [*values(first.target), *(part for header in first.headers for part in values(header.value))]
    places = [part.source.place for part in [*parts, *values(second.target)] if isinstance(part.source, UuidSource)]
    assert places[0] == places[1] != places[2]


def test_credentials_of_a_user_are_marked() -> None:
    test = compiled(
        "- {POST: /l, extract: {token: $.token, code: {json: $.code, secret: true}, id: $.id}}",
        '- {POST: /x, headers: {Authorization: "Bearer {{id}}"}, json: {pin: "{{id}}", a: "{{code}}", b: "{{id}}"}}',
    )
    flow = test.plan.flows[0]
    assert flow.slots == (Slot("token", True), Slot("code", True), Slot("id", False))
    step = flow.steps[1]
    assert [part.is_secret for part in values(step.body)] == [True, True, False]
    assert [part.is_secret for header in step.headers for part in values(header.value)] == [True]


def test_a_literal_credential_is_a_slot() -> None:
    test = compiled("- {POST: /l, json: {user: u, password: hunter22}}")
    assert test.secrets == {"scenarios.s.steps[0].json.password": "hunter22"}
    assert any(isinstance(part, SecretPart) for part in test.plan.flows[0].steps[0].body or ())
    assert test.data["scenarios"]["s"]["steps"][0]["json"] == {"user": "u", "password": "***"}


def test_a_form_is_encoded() -> None:
    step = step_of(
        "- {GET: /x, extract: {id: $.id}}", '- {POST: /l, form: {"a b": "c&d", id: "{{id}}", tag: [x, "y z"]}}'
    )
    assert literal(step.body) == "a%20b=c%26d&id=&tag=x&tag=y%20z"
    assert values(step.body)[0].encoding == Encoding.PERCENT
    assert ("Content-Type", "application/x-www-form-urlencoded") in [
        (header.name, literal(header.value)) for header in step.headers
    ]


def test_a_check_of_the_status_expects_every_status() -> None:
    steps = flow_of(
        "- {GET: /a, checks: [status == 404]}",
        "- {GET: /b, checks: [status == 404], expected_status_codes: 404}",
        "- {GET: /c, checks: [{check: status == 404, counts_only: true}]}",
        "- {GET: /d, checks: ['time < 1s or not status < 400']}",
    ).steps
    default = ((200, 200), (201, 201), (204, 204))
    assert [step.expected_statuses for step in steps] == [((100, 999),), ((404, 404),), default, ((100, 999),)]


def test_checks_have_the_name_of_their_key_or_their_text() -> None:
    test = compiled(
        "- {GET: /a, checks: {in stock: $.stock > 0}}",
        "- {GET: /b, checks: [status == 200, {check: time < 1s, name: fast, counts_only: true}]}",
    )
    assert test.plan.checks == (CheckName("in stock", 0), CheckName("status == 200", 1), CheckName("fast", 1))
    assert [check.counts_only for check in test.plan.flows[0].steps[1].named_checks] == [False, True]


def test_a_credential_in_a_check_is_not_its_name() -> None:
    test = compiled("- {GET: /a, checks: ['body contains ghp_aaaaaaaaaaaaaaaaaaaaaaaa']}")
    assert test.plan.checks == (CheckName("body contains ***", 0),)
    assert test.plan.flows[0].steps[0].named_checks[0].text == "body contains ***"


def test_on_fail_of_a_step_goes_before_that_of_its_scenario() -> None:
    top = TOP.replace("    steps:", "    on_fail: stop_user\n    steps:")
    flow = flow_of("- GET: /a", "- {GET: /b, on_fail: continue}", top=top)
    assert flow.program == (RequestOp(0, "stop_user", "stop_user"), RequestOp(1, "continue", "continue"))
    assert flow_of("- GET: /a").program == (RequestOp(0, "end_iteration", "continue"),)


def test_settings_of_a_scenario() -> None:
    top = TOP.replace(
        "    steps:",
        "    pace: 30s\n    session: new\n    cookies: false\n    timeout: 2s\n    headers: {X-A: b}\n"
        "    expected_status_codes: 2xx\n    auth: {type: bearer, token: t0ken}\n    steps:",
    )
    test = compiled("- GET: /a", "- {GET: /b, headers: {x-a: ~}, timeout: 1s, auth: {type: none}}", top=top)
    flow = test.plan.flows[0]
    assert (flow.pace_ns, flow.keeps_session, flow.uses_cookies) == (30_000_000_000, False, False)
    assert [step.timeout_ns for step in flow.steps] == [2_000_000_000, 1_000_000_000]
    names = [[header.name for header in step.headers][3:] for step in flow.steps]
    assert names == [["X-A", "Authorization"], []]
    assert flow.steps[0].expected_statuses == ((200, 299),)
    assert test.secrets == {"scenarios.s.auth": "t0ken"}


@pytest.mark.parametrize(("load", "keeps"), [("{users: 3}", True), ("{rate: 3}", False)])
def test_users_keep_their_session_and_arrivals_begin_anew(load: str, keeps: bool) -> None:
    flow = flow_of("- GET: /a", top=f"load: {load}\n" + TOP)
    assert flow.keeps_session is keeps
    assert flow.uses_cookies


def test_a_login_once_per_user_is_no_problem() -> None:
    test = compiled(
        "- {when: jwt missing, steps: [{POST: /l, extract: {jwt: $.jwt}}]}",
        '- {GET: /x, headers: {Authorization: "Bearer {{jwt}}"}}',
    )
    assert test.notes == ()


def test_a_login_once_per_user_runs_in_every_iteration_of_an_open_load() -> None:
    test = compiled(
        "- {when: jwt missing, steps: [{POST: /l, extract: {jwt: $.jwt}}]}",
        '- {GET: /x, headers: {Authorization: "Bearer {{jwt}}"}}',
        top="load: {rate: 5}\n" + TOP,
    )
    assert [note.code for note in test.notes] == ["never_set"]


@pytest.mark.parametrize(
    ("first", "is_noted"),
    [
        ("- {when: user > 5, steps: [{GET: /l, extract: {v: $.v}}]}", True),
        ("- {when: user > 5, steps: [{GET: /l, extract: {v: $.v}}], otherwise: [{GET: /m, extract: {v: $.v}}]}", False),
        ("- choose: [{steps: [{GET: /l, extract: {v: $.v}}]}, {steps: []}]", True),
        ("- {repeat: 2, steps: [{GET: /l, extract: {v: $.v}}]}", False),
        ("- {while: user > 5, at_most: 2, steps: [{GET: /l, extract: {v: $.v}}]}", True),
        ("- {GET: /l, extract: {v: $.v}, on_fail: continue}", True),
        ("- {GET: /l, extract: {v: $.v}}", False),
    ],
)
def test_a_variable_that_may_be_unset_is_noted(first: str, *, is_noted: bool) -> None:
    test = compiled(first, '- GET: "/x/{{v}}"', top="load: {rate: 1}\n" + TOP)
    assert [note.code for note in test.notes] == (["may_be_unset"] if is_noted else [])


def test_a_loop_may_use_what_the_round_before_set() -> None:
    test = compiled(
        '- {repeat: 3, steps: [{GET: "/x?after={{next}}", extract: {next: $.next}}]}', top="load: {rate: 1}\n" + TOP
    )
    assert [note.code for note in test.notes] == ["may_be_unset"]


def test_the_data_of_a_spec_reads_as_the_same_spec() -> None:
    test = compiled(
        "- {GET: /x, extract: {id: '$.id | default 0', t: {header: X-T, secret: true}}, checks: {ok: status == 200}}",
        "- {while: id > 5, at_most: 3, steps: [{use: l}, {think: 1s..2s}]}",
        "- choose: [{weight: 2, steps: [{POST: /y, form: {a: b}}]}]",
        "- {repeat: 2, steps: [{when: id == 1, steps: [{GET: /z}], otherwise: [{GET: /w, checks: [time < 1s]}]}]}",
        top="blocks: {l: [{GET: /l}]}\n" + TOP,
    )
    assert TestSpec.from_data(test.spec.to_data()) == test.spec
    assert TestSpec.from_data(json.loads(json.dumps(test.data))) == test.spec
    assert compile_plan(test.spec, ENVIRONMENT).plan == test.plan


def overridden(**flags: Any) -> CompiledTest:
    top = "load: {users: 3, max_rate: 5}\n" + TOP.replace(
        "    steps:", "    headers: {X-A: b}\n    timeout: 9s\n    steps:"
    )
    text = top + "      - {GET: /x, headers: {x-a: c}, timeout: 8s, expected_status_codes: 404}\n"
    return compile_plan(with_overrides(read_spec_text(text.encode(), "shop.yaml"), Overrides(**flags)), {})


def test_flags_change_the_load_and_every_step() -> None:
    test = overridden(rate=20.0, duration="30s", headers=("X-A: d",), timeout="2s", expect_status=("2xx",))
    plan = test.plan
    (lane,) = plan.lanes
    assert (lane.load.model, lane.load.segments[0].start, lane.duration_ns) == ("open", 20.0, 30_000_000_000)
    step = plan.flows[0].steps[0]
    assert [(header.name, literal(header.value)) for header in step.headers][3:] == [("X-A", "d")]
    assert (step.timeout_ns, step.expected_statuses) == (2_000_000_000, ((200, 299),))
    assert overridden(concurrency=7).plan.lanes[0].load.segments[0].start == 7


def test_a_threshold_names_a_step() -> None:
    plan = compiled(
        "- {GET: /x, name: open, thresholds: [p95 < 1s]}", top='thresholds: ["s/open: p99 < 2s"]\n' + TOP
    ).plan
    assert [(rule.endpoint, rule.expression) for rule in plan.thresholds] == [
        (0, "s/open: p99 < 2 s"),
        (0, "s/open: p95 < 1 s"),
    ]


def test_an_endpoint_has_short_form_base_and_checks() -> None:
    text = (
        "name: a\nbase_url: http://h/v1\nendpoints:\n  - {name: e, POST: /x, json: [1], checks: {ok: status == 201}}\n"
    )
    plan = compile_plan(read_spec_text(text.encode()), {}).plan
    step = plan.flows[0].steps[0]
    assert (step.method, literal(step.target), literal(step.body)) == ("POST", "/v1/x", "[1]")
    assert (plan.checks, step.expected_statuses) == ((CheckName("ok", 0),), ((100, 999),))
    assert plan.needs == ("scenarios",)


def test_a_condition_may_use_a_slot_of_the_user() -> None:
    unless = flow_of("- {GET: /x, extract: {n: $.n}}", '- {when: "n >= 2", steps: [{GET: /y}]}').program[1]
    assert isinstance(unless, UnlessOp)
    condition = unless.condition
    assert condition.condition == "comparison"
    assert condition.subject.value == ValuePart(SlotSource(0))
    assert (condition.operator, condition.operand) == ("ge", 2)
