"""What each user does before its first iteration becomes a program of its own; what contradicts it is an error."""

from __future__ import annotations

import json

import pytest

from atm.models.outline import ScenarioSteps
from atm.plan.compile import CompiledTest, compile_plan
from atm.plan.load_plan import LoadPlan
from atm.plan.outline import scenarios_of
from atm.plan.plan_decoder import decode
from atm.plan.program import JumpOp, LoopOp, RequestOp, ThinkOp
from atm.plan.spec_reader import read_spec_text
from atm.plan.template_parts import SlotSource, ValuePart
from atm.plan.try_plan import one_of_each
from tests.plan.test_compile_errors import error_text

SPEC = """\
name: a
base_url: http://127.0.0.1
data:
  accounts: {rows: [{name: ada}, {name: bob}], per: user, pick: in_order}
  queries: {rows: [{q: tea}], per: iteration, pick: in_order}
headers: {X-All: a}
scenarios:
  order:
    load: {users: 3}
    headers: {Authorization: "Bearer {{token}}"}
    before_user:
      - {POST: /login, name: login, json: {name: "{{accounts.name}}"}, extract: {token: $.token}}
      - repeat: 2
        steps: [{GET: /me, name: me, headers: {X-Token: "{{token}}"}}]
    steps:
      - {GET: /products, name: list}
      - think: 1s
      - {GET: /products, name: again}
duration: 1m
"""


def compiled(text: str = SPEC) -> CompiledTest:
    return compile_plan(read_spec_text(text.encode(), "shop.yaml"), {})


def test_its_steps_come_after_those_of_an_iteration_and_have_endpoints_of_their_own() -> None:
    test = compiled()
    flow = test.plan.flows[0]
    names = [test.plan.endpoints[step.endpoint] for step in flow.steps]
    assert names == ["order/list", "order/again", "order/before_user/login", "order/before_user/me"]
    assert flow.program[::2] == (RequestOp(0), RequestOp(1))
    assert isinstance(flow.program[1], ThinkOp)
    assert flow.before_user == (RequestOp(2), RequestOp(3), LoopOp(0, 2, 1))
    assert (flow.counters, flow.keeps_session) == (1, True)
    (scenario,) = scenarios_of(test.plan)
    until = scenario.measured_until
    assert scenario == ScenarioSteps("order", (2, 3), is_open=False, before_user=(0, 1), measured_until=until)
    assert decode(LoadPlan, json.loads(test.plan.to_bytes())) == test.plan
    assert [note.code for note in test.notes] == ["unused_data"]


def test_a_header_of_the_scenario_may_use_what_it_extracts() -> None:
    steps = compiled().plan.flows[0].steps
    headers = [{header.name: header.value for header in step.headers} for step in steps]
    assert ["Authorization" in each for each in headers] == [True, True, False, False]
    assert all("X-All" in each for each in headers)
    values = [part.source for part in headers[0]["Authorization"] if isinstance(part, ValuePart)]
    assert values == [SlotSource(0)]


def test_one_iteration_of_a_try_begins_with_it() -> None:
    flow = one_of_each(compiled().plan).flows[0]
    assert flow.before_user == ()
    assert flow.program[:3] == (RequestOp(2), RequestOp(3), LoopOp(0, 2, 1))
    assert [op.step for op in flow.program if isinstance(op, RequestOp)] == [2, 3, 0, 1]
    assert not any(isinstance(op, JumpOp) for op in flow.program)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("users: 3", "rate: 3", None),
        ("    steps:\n", "    session: new\n    steps:\n", "`session: new` forgets it after each"),
        ('name: "{{accounts.name}}"', 'name: "{{iteration}}"', "{{iteration}} is not defined in before_user"),
        ('name: "{{accounts.name}}"', 'name: "{{queries.q}}"', 'the data "queries" has a row for each iteration'),
        ('name: "{{accounts.name}}"', 'name: "{{token}}"', "{{token}} is used before it can be set"),
        ("name: again}", "name: again, extract: {token: $.t}}\n", None),
        (", extract: {token: $.token}", "", "token"),
    ],
)
def test_what_contradicts_it_is_an_error(old: str, new: str, expected: str | None) -> None:
    assert old in SPEC
    text = SPEC.replace(old, new, 1)
    if expected is None:
        assert compiled(text).plan.flows[0].before_user
    else:
        assert expected in error_text(text)


def test_it_must_send_a_request() -> None:
    text = SPEC[: SPEC.index("      - {POST")] + "      - think: 1s\n" + SPEC[SPEC.index("    steps:\n      - {GET") :]
    text = text.replace('    headers: {Authorization: "Bearer {{token}}"}\n', "")
    assert "before_user has no step that sends a request" in error_text(text)


def test_a_block_has_figures_apart_for_each_use() -> None:
    text = SPEC.replace("scenarios:", "blocks: {ping: [{GET: /ping, name: ping}]}\nscenarios:")
    text = text.replace("      - repeat: 2", "      - use: ping\n      - repeat: 2").replace(
        "      - think: 1s", "      - use: ping\n      - think: 1s"
    )
    assert [name for name in compiled(text).plan.endpoints if "ping" in name] == [
        "order/before_user/ping",
        "order/ping",
    ]
