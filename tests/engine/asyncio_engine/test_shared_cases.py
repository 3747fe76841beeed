"""The cases that both engines share: bytes of requests, and how full responses are judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from atm.engine.asyncio_engine.responses import text_of
from atm.engine.asyncio_engine.users.messages import check_of
from atm.engine.asyncio_engine.users.prepared_step import PreparedStep
from atm.engine.asyncio_engine.users.renderer import renderer
from atm.models.outcome import Outcome
from atm.plan.connections import Origin
from atm.plan.load_plan import Step
from atm.plan.plan_decoder import decode
from atm.plan.template_parts import Encoding
from atm.plan.templates import encoded
from tests.contract.plans import plan
from tests.contract.plans import step as plain_step
from tests.vectors import vectors

TEMPLATES = vectors("templates")
OUTCOMES = vectors("outcomes")


def step_of(**fields: Any) -> Step:
    plain = {"endpoint": 0, "origin": 0, "method": "GET", "target": [{"text": "/", "part": "literal"}], "headers": []}
    plain |= {"body": None, "expected_statuses": [], "checks": [], "timeout_ns": 1}
    return decode(Step, {**plain, **fields})


def prepared(made: Step) -> PreparedStep:
    return PreparedStep(plan(Origin("http", "h", 80), made), made, {})


@pytest.mark.parametrize("case", TEMPLATES["requests"], ids=lambda case: case["name"])
def test_requests_are_the_bytes_of_the_shared_cases(case: dict[str, Any]) -> None:
    made = step_of(**{name: case[name] for name in ("method", "target", "headers", "body")})
    render = renderer(made, case["seed"], case["secrets"], wall_ns=lambda: TEMPLATES["wall_ns"])
    sent = render if isinstance(render, bytes) else render(case["number"])
    assert sent.decode() == case["sent"]


@pytest.mark.parametrize("case", TEMPLATES["encodings"], ids=lambda case: repr(case["value"]))
def test_values_are_encoded_as_in_the_shared_cases(case: dict[str, str]) -> None:
    assert encoded(case["value"], Encoding.RAW) == case["value"]
    assert encoded(case["value"], Encoding.PERCENT) == case["percent"]
    assert encoded(case["value"], Encoding.JSON) == case["json"]


@pytest.mark.parametrize("case", OUTCOMES["responses"], ids=lambda case: case["name"])
def test_responses_are_judged_as_in_the_shared_cases(case: dict[str, Any]) -> None:
    made = step_of(expected_statuses=case["expected"], checks=case["checks"])
    step = prepared(made)
    outcome, message = Outcome.OK, ""
    if case["status"] not in step.expected:
        outcome, message = Outcome.UNEXPECTED_STATUS, step.unexpected(case["status"])
    elif failure := check_of(made.checks)(text_of(bytes.fromhex(case["body_hex"]), None)):
        outcome, message = Outcome.CHECK_FAILED, failure
    assert (outcome.value, message) == (case["outcome"], case["message"])


@pytest.mark.parametrize(("timeout_ns", "message"), OUTCOMES["timeouts"])
def test_timeouts_are_named_as_in_the_shared_cases(timeout_ns: int, message: str) -> None:
    assert prepared(replace(plain_step(), timeout_ns=timeout_ns)).timeout_message == message
