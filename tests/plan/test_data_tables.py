"""Test data of a spec: what is reported before the run, and where a load ends whose rows may not be used twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from atm.errors import Problem, SpecError
from atm.plan.compile import CompiledTest, compile_plan
from atm.plan.data_tables import _clipped
from atm.plan.load_plan import Load, Segment
from atm.plan.pacer import user_changes
from atm.plan.template_parts import DataSource, ValuePart
from atm.tables.spec_tables import SpecTables
from atm.tables.table_file import Table

SECOND = 1_000_000_000
ROWS = [{"name": f"u{number}", "password": "p"} for number in range(50)]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/accounts.csv").write_text("name,password\nada,1\nbob,2\n")
    (tmp_path / "specs/queries.txt").write_text("lamp\nchair\n")
    (tmp_path / "outside.csv").write_text("name\nada\n")
    return tmp_path


def compiled(here: Path, data: dict[str, Any], used: str = "accounts.name", **fields: Any) -> CompiledTest:
    spec = {
        "name": "shop",
        "data": data,
        "scenarios": {"buy": {"steps": [{"GET": f"http://127.0.0.1:1/?q={{{{{used}}}}}"}]}},
        **fields,
    }
    return compile_plan(spec, {}, open_table=SpecTables(here / "specs", here / "data"))


def problem(here: Path, data: dict[str, Any], **fields: Any) -> Problem:
    with pytest.raises(SpecError) as caught:
        compiled(here, data, **fields)
    (found,) = caught.value.problems
    return found


def notes(test: CompiledTest) -> list[str]:
    return [note.code for note in test.notes]


def test_a_cell_becomes_a_source_and_the_table_a_file(here: Path) -> None:
    test = compiled(here, {"other": [{"a": 1}], "accounts": "accounts.csv"}, used="accounts.password", duration="1s")
    (step,) = test.plan.flows[0].steps
    assert ValuePart(DataSource(1, 1), encoding=step.target[1].encoding, is_secret=True) == step.target[1]  # type: ignore[union-attr]
    table = test.plan.data[1]
    assert (table.name, table.columns, table.rows) == ("accounts", ("name", "password"), 2)
    assert (table.per, table.pick) == ("iteration", "in_order")
    opened = Table(table.path)
    assert opened.cell(1, 0).text == "bob"
    opened.close()
    assert notes(test) == ["unused_data"]


def test_rows_per_use_are_drawn_at_places_of_their_own(here: Path) -> None:
    data = {"queries": {"file": "queries.txt", "columns": ["q"], "per": "use"}}
    test = compiled(here, data, used="queries.q}}{{queries.q", duration="1s")
    places = [part.source.place for part in test.plan.flows[0].steps[0].target if isinstance(part, ValuePart)]  # type: ignore[union-attr]
    assert len(set(places)) == 2
    assert (test.plan.data[0].per, test.plan.data[0].pick) == ("use", "random")


@pytest.mark.parametrize(
    ("data", "code", "path", "says"),
    [
        ({"file": "accounts.csv", "rows": ROWS}, "conflict", "data.accounts", "both file and rows"),
        ({"per": "user"}, "missing_field", "data.accounts", "needs a file or rows"),
        ({"file": "missing.csv"}, "file_not_read", "data.accounts.file", "missing.csv: the file cannot be read"),
        ({"file": "../outside.csv"}, "file_not_allowed", "data.accounts.file", "outside of the directory"),
        ({"file": "accounts.xlsx"}, "unknown_format", "data.accounts.file", "is unknown"),
        ({"file": "queries.txt", "separator": ";"}, "conflict", "data.accounts.separator", "no separator"),
        ({"rows": ROWS, "format": "csv"}, "conflict", "data.accounts.format", "belongs to a file"),
        ({"rows": [[1, 2]], "columns": ["a"]}, "ragged_row", "data.accounts.rows", "[0]: the row has 2 cells"),
        ({"rows": ROWS, "per": "use", "pick": "shuffled"}, "conflict", "data.accounts.pick", "no order there"),
        ({"rows": ROWS, "pick": "once", "when_used_up": "recycle"}, "conflict", "data.accounts.when_used_up", "twice"),
        (
            {"rows": ROWS, "pick": "random", "when_used_up": "stop"},
            "conflict",
            "data.accounts.when_used_up",
            "may repeat",
        ),
        ({"file": "accounts.csv", "columns": ["user", "password"]}, "unknown_column", "", 'has no column "name"'),
    ],
)
def test_what_cannot_be_is_reported_with_its_place(
    here: Path, data: dict[str, Any], code: str, path: str, says: str
) -> None:
    found = problem(here, {"accounts": data}, duration="1s")
    assert (found.code, found.path.startswith(path)) == (code, True), found
    assert says in found.what


def test_a_missing_column_names_the_nearest(here: Path) -> None:
    found = problem(here, {"accounts": "accounts.csv"}, used="accounts.pasword", duration="1s")
    assert found.hint.startswith("Did you mean {{accounts.password}}? Columns: name, password")


def test_a_server_takes_rows_of_the_spec_and_no_files() -> None:
    spec = {
        "name": "shop",
        "data": {"accounts": {"rows": ROWS}},
        "scenarios": {"buy": {"steps": [{"GET": "http://127.0.0.1:1/{{accounts.name}}"}]}},
    }
    assert compile_plan(spec, {}).plan.data[0].rows == 50
    with pytest.raises(SpecError, match="a server reads no files of its own"):
        compile_plan({**spec, "data": {"accounts": "accounts.csv"}}, {})


def once(**fields: Any) -> dict[str, Any]:
    return {"accounts": {"rows": ROWS, "pick": "once", **fields}}


@pytest.mark.parametrize(
    ("load", "total"),
    [
        ({"load": {"rate": 10}, "duration": "60s"}, 50),
        ({"load": {"rate": 10}, "duration": "5s"}, 50),
        ({"load": {"rate": 10, "warm_up": "2s"}, "duration": "60s"}, 30),
        ({"load": {"rate": 10}, "total_requests": 20}, 20),
    ],
)
def test_an_open_load_ends_before_a_row_is_used_twice(here: Path, load: dict[str, Any], total: int) -> None:
    for per in ("iteration", "user"):
        test = compiled(here, once(per=per), **load)
        assert test.plan.lanes[0].total == total
        ends_early = load.get("duration") == "60s"
        assert notes(test) == (["data_used_up"] if ends_early else [])
        if ends_early:
            with pytest.raises(SpecError, match='has 50 rows, and "buy" has about 6'):
                compiled(here, once(per=per, when_used_up="error"), **load)


def test_a_closed_load_ends_with_the_last_row_warm_up_included(here: Path) -> None:
    test = compiled(here, once(), load={"users": 4, "warm_up": "1s"}, duration="5s")
    assert (test.plan.lanes[0].last_number, test.plan.lanes[0].total, notes(test)) == (50, None, [])
    assert notes(compiled(here, once(), load={"users": 4}, total_requests=80)) == ["data_used_up"]
    assert problem(here, once(when_used_up="error"), load={"users": 4}, total_requests=80).code == "data_used_up"
    recycled = compiled(here, {"accounts": {"rows": ROWS}}, load={"users": 4}, total_requests=80)
    assert recycled.plan.lanes[0].last_number is None


def test_fewer_rows_than_users_end_at_the_rows(here: Path) -> None:
    stages = [{"duration": "10s", "target": 100}, {"duration": "10s", "target": 100}, {"duration": "10s", "target": 0}]
    load = {"model": "closed", "stages": stages, "warm_up": "1s", "warm_up_level": 80}
    test = compiled(here, once(per="user"), load=load)
    assert notes(test) == ["data_used_up"]
    clipped = test.plan.lanes[0].load
    assert max(users for _, users in user_changes(clipped)) == 50
    assert clipped.warm_up_level == 50
    assert [segment.duration_ns for segment in clipped.segments] == [5 * SECOND] * 2 + [10 * SECOND] + [5 * SECOND] * 2
    found = problem(here, once(per="user", when_used_up="error"), load=load)
    assert found.what == 'the data "accounts" has 50 rows, and "buy" has 100 users'
    enough = compiled(here, once(per="user"), load={"users": 50}, duration="1s")
    assert (notes(enough), enough.plan.lanes[0].last_number) == ([], None)


def test_a_warm_up_that_needs_all_rows_is_an_error(here: Path) -> None:
    found = problem(here, once(), load={"rate": 100, "warm_up": "1s"}, duration="5s")
    assert (found.code, found.path) == ("data_used_up", "data.accounts")


@pytest.mark.parametrize(
    "segment", [Segment(0, 10, 1000), Segment(10, 0, 1000), Segment(3, 4, 1000), Segment(9, 9, None)]
)
def test_a_clipped_load_is_never_above_its_limit_and_keeps_its_length(segment: Segment) -> None:
    clipped = _clipped(Load("closed", (segment,)), 4).segments
    assert all(max(part.start, part.end) <= 4 for part in clipped)
    if segment.duration_ns is not None:
        assert sum(part.duration_ns or 0 for part in clipped) == 1000


def test_an_endpoint_has_no_test_data() -> None:
    spec = {"name": "e", "data": {"users": [{"name": "ada"}]}, "url": "http://127.0.0.1:1/?q={{users.name}}"}
    with pytest.raises(SpecError) as caught:
        compile_plan(spec, {}, open_table=None)
    (found,) = caught.value.problems
    assert (found.code, found.path) == ("no_test_data", "url character 23")
    assert "only steps of scenarios" in found.what
    assert "scenario of one step" in (found.hint or "")


def test_unused_data_of_endpoints_leads_to_scenarios() -> None:
    spec = {"name": "e", "data": {"users": [{"name": "ada"}]}, "url": "http://127.0.0.1:1/"}
    (note,) = compile_plan(spec, {}, open_table=None).notes
    assert note.code == "unused_data"
    assert "`scenarios`" in (note.hint or "")
