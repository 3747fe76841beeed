"""The loads of scenarios: shares of one, or one each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.plan.compile import compile_plan
from atm.plan.lanes import divided
from atm.plan.load_plan import Lane
from atm.plan.spec_reader import read_spec_text
from tests.examples import examples
from tests.plan.test_compile_errors import error_text

TOP = "name: a\nbase_url: http://127.0.0.1\n"


def lanes(top: str, **scenarios: str) -> tuple[Lane, ...]:
    return compile_plan(read_spec_text(text_of(top, **scenarios).encode()), {}).plan.lanes


def text_of(top: str, **scenarios: str) -> str:
    """Return a spec whose scenarios have these fields, each on its line from line 4 on."""
    lines = [f"  {name}: {{{fields}, steps: [{{GET: /x}}]}}\n" for name, fields in scenarios.items()]
    return f"{TOP}{top}scenarios:\n{''.join(lines)}"


@given(st.integers(0, 10**9), st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
@examples(200)
def test_shares_add_up_and_differ_from_the_exact_share_by_less_than_one(amount: int, weights: list[int]) -> None:
    shares = divided(amount, weights)
    assert sum(shares) == amount
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - amount * weight / sum(weights)) < 1


def test_users_and_totals_are_divided_by_weight() -> None:
    one, two, three = lanes("load: {users: 10}\ntotal_requests: 100\n", a="weight: 1", b="weight: 1", c="weight: 1")
    assert [lane.load.segments[0].start for lane in (one, two, three)] == [4, 3, 3]
    assert [lane.total for lane in (one, two, three)] == [34, 33, 33]
    assert [lane.flows for lane in (one, two, three)] == [(0,), (1,), (2,)]


def test_rates_stages_and_limits_are_divided_by_weight() -> None:
    one, two = lanes(
        "load: {model: open, stages: [{duration: 10s, target: 50}], warm_up: 2s, warm_up_level: 8, max_in_flight: 9}\n",
        a="weight: 3",
        b="weight: 1",
    )
    assert [lane.load.segments[0].end for lane in (one, two)] == [37.5, 12.5]
    assert [lane.load.warm_up_level for lane in (one, two)] == [6, 2]
    assert [lane.load.max_in_flight for lane in (one, two)] == [7, 2]
    assert [lane.total for lane in (one, two)] == [None, None]


def test_a_scenario_has_a_load_of_its_own() -> None:
    browse, order = lanes("duration: 1m\n", browse="load: {rate: 40}", order="load: {users: 5}, start_after: 20s")
    assert (browse.load.model, browse.start_ns, browse.duration_ns) == ("open", 0, 60_000_000_000)
    assert (order.load.model, order.start_ns, order.duration_ns) == ("closed", 20_000_000_000, 40_000_000_000)


def test_a_scenario_starts_at_the_planned_end_of_another() -> None:
    last, middle, first = lanes(
        "",
        last="load: {users: 1}, start_after: middle, duration: 5s",
        middle="load: {model: open, stages: [{duration: 10s, target: 5}]}, start_after: first",
        first="load: {rate: 5, warm_up: 3s}, duration: 4s",
    )
    assert (first.start_ns, middle.start_ns, last.start_ns) == (0, 7_000_000_000, 17_000_000_000)


def test_scenarios_without_an_end_send_a_hundred_iterations_each() -> None:
    assert [lane.total for lane in lanes("", a="load: {users: 1}", b="load: {users: 2}")] == [100, 100]


CASES = {
    "load at the top and in a scenario": (
        text_of("load: {users: 5}\n", a="load: {rate: 1}"),
        "error: the spec has load at the top, and its scenarios have loads of their own [conflict]\n"
        "  at: load, shop.yaml:3\n"
        "  hint: Keep one: a `load` in each scenario, or `weight` in each scenario and one `load` at the top",
    ),
    "a scenario without a load": (
        text_of("", a="load: {rate: 1}", b="session: new"),
        'error: the scenario "b" has no load, and "a" has one of its own [missing_field]\n'
        "  at: scenarios.b, shop.yaml:5\n"
        "  hint: Add `load: {rate: 10}`",
    ),
    "weight and load": (
        text_of("", a="load: {rate: 1}, weight: 2"),
        "error: weight is a share of one load for all scenarios, and this scenario has a load of its own [conflict]\n"
        "  at: scenarios.a.weight, shop.yaml:4\n"
        "  hint: Keep one of weight and load",
    ),
    "a share of nothing": (
        text_of("load: {users: 2}\n", a="weight: 100", b="weight: 1"),
        'error: the scenario "b" gets none of the users: its weight is too small a share of them [no_load]\n'
        "  at: scenarios.b, shop.yaml:6\n"
        "  hint: Raise the number of users, or its weight",
    ),
    "a total with loads of their own": (
        text_of("total_requests: 5\n", a="load: {rate: 1}"),
        "error: total_requests cannot be divided among scenarios with loads of their own [conflict]\n"
        "  at: total_requests, shop.yaml:3\n"
        "  hint: Write `duration`, or stages in each load",
    ),
    "start_after without a load": (
        text_of("", a="start_after: 5s"),
        "error: start_after needs a load of the scenario's own, and this one shares the load of the spec [conflict]\n"
        "  at: scenarios.a.start_after, shop.yaml:4\n"
        "  hint: Give each scenario a `load`, or remove it",
    ),
    "start_after a scenario without an end": (
        text_of("", first="load: {rate: 1}", second="load: {rate: 1}, start_after: first"),
        'error: start_after names "first", whose end is not planned: it has no duration and no stages '
        "[no_planned_end]\n"
        "  at: scenarios.second.start_after, shop.yaml:5\n"
        "  hint: Give first a `duration`, or write a time: `start_after: 30s`",
    ),
    "start_after an unknown scenario": (
        text_of("", first="load: {rate: 1}", second="load: {rate: 1}, start_after: frist"),
        'error: start_after is "frist", which is neither a time nor a scenario [unknown_scenario]\n'
        "  at: scenarios.second.start_after, shop.yaml:5\n"
        "  hint: Did you mean `first`? Write `30s`, or one of: first, second",
    ),
    "scenarios that wait for one another": (
        text_of("duration: 5s\n", a="load: {rate: 1}, start_after: b", b="load: {rate: 1}, start_after: a"),
        'error: "a", "b" start after one another, so none of them ever starts [endless_start]\n'
        "  at: scenarios.a.start_after, shop.yaml:5\n"
        "  hint: Start one of them after a time",
    ),
    "a start after the end": (
        text_of("duration: 5s\n", a="load: {rate: 1}, start_after: 9s"),
        "error: the scenario starts after 9 s, when the duration of the spec has passed [no_load]\n"
        "  at: scenarios.a.start_after, shop.yaml:5\n"
        "  hint: Give the scenario a `duration` of its own",
    ),
    "an open load without a rate": (
        text_of("", a="load: {model: open}"),
        "error: an open load needs a rate or stages [missing_field]\n"
        "  at: scenarios.a.load, shop.yaml:4\n"
        "  hint: Add `rate: 50` (arrivals per second)",
    ),
}


@pytest.mark.parametrize(("text", "message"), CASES.values(), ids=CASES)
def test_a_problem_has_message_place_and_hint(text: str, message: str) -> None:
    assert error_text(text) == message


def test_more_scenarios_than_lanes_are_a_problem() -> None:
    text = text_of("load: {rate: 300}\nduration: 5s\n", **{f"s{number}": "weight: 1" for number in range(257)})
    assert error_text(text) == (
        "error: the spec has 257 scenarios; the maximum is 256 [too_many_names]\n"
        "  at: scenarios, shop.yaml:5\n"
        "  hint: Let one scenario `choose` between branches"
    )
