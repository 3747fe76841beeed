"""The waterfalls of sampled iterations in the HTML report."""

from __future__ import annotations

from xml.etree import ElementTree

from atm.models.outcome import Outcome
from atm.models.samples import SampledIteration, SampledStep
from atm.reports.html.iterations import MOST_STEPS, waterfalls
from tests.storage.builders import iteration, result


def sampled(number: int, *, failed: bool = False, active_ms: float = 35.0, steps: int = 1) -> SampledIteration:
    outcome = Outcome.TIMEOUT if failed else Outcome.OK
    step: SampledStep = (
        iteration(number)
        .steps[0]
        .model_copy(
            update={"outcome": outcome, "endpoint": "shop/pay", "at_seconds": 0.505, "status": None if failed else 200}
        )
    )
    return iteration(number).model_copy(update={"active_ms": active_ms, "steps": [step] * steps})


def drawn(*iterations: SampledIteration) -> str:
    return str(waterfalls(result("a").model_copy(update={"sampled_iterations": list(iterations)})))


def test_one_with_a_failure_and_the_slowest_are_drawn() -> None:
    page = drawn(sampled(1), sampled(2, failed=True), sampled(3, active_ms=99.0), sampled(4, failed=True))
    assert "shop, iteration 2 (with a failure)" in page
    assert "shop, iteration 3 (the slowest)" in page
    assert page.count("iteration ") == 2
    assert page.count("<svg") == page.count(">pay<") == 2
    rows = ElementTree.fromstring(page).findall(".//rect")
    spans = [(float(each.attrib["x"]), float(each.attrib["width"])) for each in rows]
    assert all(x >= 0 and x + width <= 100.01 for x, width in spans)
    assert spans[0][0] == 12.5


def test_a_failed_iteration_that_is_the_slowest_is_drawn_once() -> None:
    page = drawn(sampled(1), sampled(2, failed=True, active_ms=99.0))
    assert page.count("iteration ") == 1


def test_a_long_iteration_is_cut() -> None:
    page = drawn(sampled(1, steps=MOST_STEPS + 2))
    assert page.count("<svg") == MOST_STEPS
    assert "2 further requests" in page


def test_a_run_without_scenarios_has_no_waterfall() -> None:
    assert waterfalls(result("a").model_copy(update={"sampled_iterations": []})) is None
