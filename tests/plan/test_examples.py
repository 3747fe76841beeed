from __future__ import annotations

from pathlib import Path

import pytest

from atm.plan.compile import compile_plan
from atm.plan.document import SpecDocument
from atm.plan.spec_reader import read_spec_text
from atm.plan.starter import starter_text

EXAMPLES = sorted(Path(__file__).parents[2].joinpath("examples").glob("*.*ml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_compiles(path: Path) -> None:
    assert compile_plan(read_spec_text(path.read_bytes(), path.name), {}).notes == ()


def test_the_quickstart_is_the_first_thing_people_run() -> None:
    path = next(path for path in EXAMPLES if path.name == "quickstart.yaml")
    plan = compile_plan(read_spec_text(path.read_bytes(), path.name), {}).plan
    assert plan.endpoints == ("GET /users", "GET /orders/{id}", "POST /orders")
    (lane,) = plan.lanes
    assert (lane.selection, lane.load.model, lane.load.segments[0].start) == ("weighted", "open", 150)
    assert lane.planned_end_ns is not None
    assert lane.planned_end_ns <= 12_000_000_000
    assert len(plan.thresholds) == 3


def test_the_starter_compiles_with_every_line_switched_on_or_off() -> None:
    document = read_spec_text(starter_text().encode(), "starter.yaml")
    assert compile_plan(document, {}).notes == ()
    switched_on = starter_text()
    for line in ("headers:", "  Accept:", "body:", "auth:", "expect_body:"):
        switched_on = switched_on.replace(f"# {line}", line)
    more = read_spec_text(switched_on.encode(), "starter.yaml")
    assert isinstance(more, SpecDocument)
    assert len(more.data) == len(document.data) + 4
    assert compile_plan(more, {"TOKEN": "t"}).secrets == {"auth": "t"}
