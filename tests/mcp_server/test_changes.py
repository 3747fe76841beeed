"""What changed between two runs, in lines for a language model."""

from __future__ import annotations

from dataclasses import replace

from atm.mcp_server import changes
from atm.metrics.comparison import compare_scenarios
from atm.models.control.compare import ComparedCheck, ComparedScenario, Difference
from tests.metrics.shop import shop_result

RESULT = shop_result()
BROWSE, ORDER = RESULT.scenarios
KNOWN, ACCEPTED = RESULT.checks[1:3]


def test_scenarios_say_what_changed_in_their_iterations() -> None:
    slower = replace(BROWSE, iteration_time=replace(BROWSE.iteration_time, p95_ms=6000.0), iteration_error_rate=0.1)
    differences = [
        Difference(name=change.name, a=change.a, b=change.b, change=change.change, better=change.better)
        for change in compare_scenarios(BROWSE, slower)
    ]
    browse = ComparedScenario(name="browse", a=BROWSE, b=slower, differences=differences)
    order = ComparedScenario(name="order", a=ORDER, b=None, differences=[])
    assert changes.scenarios([browse, order]) == [
        '- scenario "browse", iteration time p95: 3.00 s → 6.00 s (+100 %), worse',
        '- scenario "browse", failed iterations: 28.6 % → 10.0 % (-65 %), better',
        '- scenario "browse", iterations: 8/s → 8/s (0 %)',
        '- scenario "order": only in a',
    ]


def test_checks_are_listed_if_they_failed_in_another_share() -> None:
    worse = replace(KNOWN, passed=15, failed=5, passed_share=0.75)
    compared = [
        ComparedCheck(name=KNOWN.name, endpoint=KNOWN.endpoint, a=KNOWN, b=worse),
        ComparedCheck(name=ACCEPTED.name, endpoint=ACCEPTED.endpoint, a=ACCEPTED, b=ACCEPTED),
        ComparedCheck(name="new", endpoint="browse/list", a=None, b=worse),
    ]
    assert changes.checks(compared) == [
        '- check "in stock known" at "browse/open" failed: 1 of 20 → 5 of 20',
        '- check "new" at "browse/list" failed: not there → 5 of 20',
    ]
