from __future__ import annotations

import json

import pytest

from atm.plan.compile import compile_plan
from atm.testing.target_server.record import Outcome, RequestRow
from benches import flow, flow_pause, native_instructions
from benches.measure import ROOT, MeasurementError

GAP_NS = 1_000_000_000 // flow_pause.RATE
DUE = flow_pause.RATE * flow_pause.SECONDS


def row(name: str, iteration: int, arrived_ns: int, answered_ns: int | None) -> RequestRow:
    return RequestRow(1, name, 1, 1, arrived_ns, answered_ns, 200, Outcome.COMPLETED, iteration, 0, 0)


def rows(late_ns: int) -> list[RequestRow]:
    """The record of a server that answers each step after 1 ms, but all steps of the last iteration late."""
    record = []
    for iteration in range(1, DUE + 1):
        at = 5_000_000 + (iteration - 1) * GAP_NS + (late_ns if iteration == DUE else 0)
        for name in ("list", "open", "order"):
            record.append(row(name, iteration, at, at + 1_000_000))
            at += 1_000_000
    return record


def test_true_times_run_from_the_due_time_to_the_first_and_to_the_last_answer() -> None:
    first, last = flow_pause.true_times(rows(late_ns=2_000_000_000))
    assert first == pytest.approx([1.0] * (DUE - 1) + [2001.0])
    assert last == pytest.approx([3.0] * (DUE - 1) + [2003.0])


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (rows(0)[:-1], f"the server recorded {DUE * 3 - 1} requests, {DUE * 3} were due"),
        ([*rows(0)[:-1], row("order", DUE, 5_000_000 + DUE * GAP_NS, None)], f"has not answered iteration {DUE}"),
    ],
)
def test_a_record_that_lacks_an_answer_is_not_a_truth(record: list[RequestRow], message: str) -> None:
    with pytest.raises(MeasurementError, match=message):
        flow_pause.true_times(record)


@pytest.mark.parametrize("each_step", [False, True])
def test_the_journey_sends_the_requests_of_the_endpoints_and_has_the_checks_it_names(*, each_step: bool) -> None:
    journey = compile_plan({**flow.journey("http://127.0.0.1", each_step=each_step), "concurrency": 1}, {}).plan
    plain = compile_plan({**flow.endpoints("http://127.0.0.1"), "concurrency": 1}, {}).plan
    steps = journey.flows[0].steps
    assert [step.method for step in steps] == [step.method for one in plain.flows for step in one.steps]
    times = 3 if each_step else 1
    assert sum(len(step.named_checks) for step in steps) == 3 * times
    assert sum(len(step.extracts) for step in steps) == 2 * times
    assert len(flow.BODY) == 300
    assert json.loads(flow.BODY)["items"][1]["id"] == 18


def test_plans_for_counting_instructions_have_the_format_that_the_engine_reads() -> None:
    plan_format = native_instructions.format_of(ROOT / "native")
    document = json.loads(native_instructions.plan(plan_format, "closed", 80, 7))
    assert (document["format"], document["lanes"][0]["total"]) == (plan_format, 7)
    assert json.loads(native_instructions.plan(1, "open", 80, 7))["total_requests"] == 7
