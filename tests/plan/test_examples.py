from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from atm.library import compile_spec
from atm.plan.compile import compile_plan
from atm.plan.document import SpecDocument
from atm.plan.spec_reader import read_spec_text
from atm.plan.starter import starter_text

EXAMPLES = sorted(Path(__file__).parents[2].joinpath("examples").glob("*.*ml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_compiles(path: Path) -> None:
    assert compile_spec(path, {}).notes == ()


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


def test_the_starter_of_a_scenario_compiles() -> None:
    document = read_spec_text(starter_text(scenario=True).encode(), "starter.yaml")
    test = compile_plan(document, {})
    assert test.notes == ()
    assert test.plan.endpoints == (
        "order/before_user/register",
        "order/before_user/login",
        "order/list",
        "order/GET /products/{{product}}",
        "order/order",
    )


PAGE = Path(__file__).parents[2].joinpath("docs/reference/scenarios.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def first_cells(heading: str, end: str) -> list[str]:
    """Return the texts in backquotes of the first column of the tables between two headings of the page."""
    rows = PAGE.partition(f"## {heading}\n")[2].partition(f"## {end}\n")[0].splitlines()
    cells = [re.split(r"(?<!\\) \| ", row.removeprefix("| "))[0] for row in rows if row.startswith("| `")]
    return [text.replace("\\|", "|") for cell in cells for text in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("text", BLOCKS, ids=[text.partition("\n")[0] for text in BLOCKS])
def test_every_spec_of_the_reference_of_scenarios_compiles(text: str) -> None:
    assert compile_plan(read_spec_text(text.encode(), "page.yaml"), {"SHOP_PASSWORD": "p"}).notes == ()


@pytest.mark.parametrize("condition", first_cells("Conditions", "Extracts"))
def test_every_condition_of_the_reference_compiles(condition: str) -> None:
    compile_plan(one_step("GET: /x", f"checks: [{json.dumps(condition)}]"), {}, read_file=lambda _: b"true")


@pytest.mark.parametrize("extract", first_cells("Extracts", "Values"))
def test_every_extract_of_the_reference_compiles(extract: str) -> None:
    compile_plan(one_step("GET: /x", "extract:", f"  v: {extract}"), {})


@pytest.mark.parametrize("value", first_cells("Values", "Load"))
def test_every_value_of_the_reference_compiles(value: str) -> None:
    if "table." not in value:
        compile_plan(one_step("POST: /x", f"body: {json.dumps(value)}"), {"NAME": "n", "TARGET_NAME": "n"})


def one_step(*lines: str) -> SpecDocument:
    """Return a spec whose second step has these lines."""
    step = "".join(f"        {line}\n" for line in lines).replace("        ", "      - ", 1)
    text = (
        "name: a\nbase_url: http://h\nvariables: {name: n}\nscenarios:\n  s:\n    steps:\n"
        f"      - {{GET: /, extract: {{product: $.id}}}}\n{step}"
    )
    return read_spec_text(text.encode(), "page.yaml")
