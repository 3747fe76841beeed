"""Test data: which row an iteration, a user or a place gets, on both engines, by the target's own record."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atm.engine.base import Capability, Engine
from atm.engine.native_engine import NativeEngine
from atm.errors import EngineError
from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan
from atm.plan.program import DataTable, LoopOp, RequestOp
from atm.plan.randomness import below, draw_at, row_of
from atm.plan.template_parts import DataSource, Encoding, IterationSource, UserSource
from atm.tables.table_file import Cell
from atm.tables.table_writer import write_table
from atm.testing import TargetServer
from tests.contract.engine_runs import Ran, run
from tests.contract.plans import closed, opened, step
from tests.contract.scenario_plans import SEED, parts, paths, requests, scenario, value

pytestmark = pytest.mark.needs(Capability.SCENARIOS)

ROWS = 97


@pytest.fixture
def numbers(tmp_path: Path) -> DataTable:
    """A table whose cells are the numbers of their rows."""
    path = tmp_path / "numbers.table"
    write_table(path, ["n", "twice"], [[str(row), str(2 * row)] for row in range(ROWS)], bytes(32))
    return DataTable("numbers", ("n", "twice"), ROWS, "iteration", "in_order", str(path))


def cell(column: int = 0, place: int = 0, encoding: Encoding = Encoding.TARGET) -> Any:
    return value(DataSource(0, column, place), encoding=encoding)


def plan_of(target: TargetServer, table: DataTable, **fields: Any) -> LoadPlan:
    """A plan whose only step sends row, twice the row, iteration and user in its path."""
    numbered = [value(source, encoding=Encoding.TARGET) for source in (IterationSource(), UserSource())]
    request = replace(step(), target=parts("/echo?", cell(), ".", cell(1), ".", numbered[0], ".", numbered[1]))
    made = scenario(target, requests(0), request, **fields)
    return replace(made, data=(table,))


def sent(target: TargetServer) -> list[tuple[int, int, int]]:
    """Row, iteration and user of each request in the record."""
    found = []
    for path in paths(target):
        row, twice, iteration, user = map(int, path.removeprefix("/echo?").split("."))
        assert twice == 2 * row
        found.append((row, iteration, user))
    return found


@pytest.mark.parametrize("pick", ["in_order", "shuffled", "random"])
@pytest.mark.parametrize("load", [closed(7), opened(2000)], ids=["closed", "open"])
def test_the_number_of_an_iteration_selects_its_row(
    engine: Engine, target: TargetServer, numbers: DataTable, pick: Any, load: Any
) -> None:
    run(engine, plan_of(target, replace(numbers, pick=pick), load=load, total=250))
    found = sent(target)
    assert sorted(iteration for _, iteration, _ in found) == list(range(1, 251))
    assert all(row == row_of(pick, SEED, 0, ROWS, iteration) for row, iteration, _ in found)
    if pick != "random":
        assert set(Counter(row for row, _, _ in found).values()) <= {2, 3}


@pytest.mark.parametrize("pick", ["in_order", "shuffled"])
@pytest.mark.parametrize("users", [1, 300])
def test_every_row_is_used_exactly_once_whatever_the_number_of_users(
    engine: Engine, target: TargetServer, numbers: DataTable, pick: Any, users: int
) -> None:
    use_every_row_once(engine, target, numbers, pick, users)


@pytest.mark.parametrize("pick", ["in_order", "shuffled"])
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_every_row_is_used_exactly_once_whatever_the_number_of_threads(
    target: TargetServer, numbers: DataTable, pick: Any, threads: int
) -> None:
    pytest.importorskip("atm_engine", reason="the native engine is not installed")
    use_every_row_once(NativeEngine(threads), target, numbers, pick, 30)


def use_every_row_once(engine: Engine, target: TargetServer, numbers: DataTable, pick: Any, users: int) -> None:
    made = plan_of(target, replace(numbers, pick=pick), load=closed(users), total=None, duration=60.0)
    ran = run(engine, replace(made, lanes=(replace(made.lanes[0], last_number=ROWS),)))
    assert ran.report.stop_reason is StopReason.TOTAL
    assert sorted(row for row, _, _ in sent(target)) == list(range(ROWS))


def test_a_user_keeps_its_row(engine: Engine, target: TargetServer, numbers: DataTable) -> None:
    run(engine, plan_of(target, replace(numbers, per="user", pick="shuffled"), load=closed(9), total=200))
    found = sent(target)
    rows = {user: row_of("shuffled", SEED, 0, ROWS, user) for user in range(1, 10)}
    assert {(row, user) for row, _, user in found} == {(row, user) for user, row in rows.items()}
    assert len(found) == 200


def test_a_table_per_use_draws_a_row_at_each_place_and_round(
    engine: Engine, target: TargetServer, numbers: DataTable
) -> None:
    request = replace(step(), target=parts("/echo?", cell(0, 3), ".", cell(0, 8)))
    made = scenario(target, [RequestOp(0), LoopOp(0, 3, 0)], request, total=20)
    run(engine, replace(made, data=(replace(numbers, per="use", pick="random"),)))
    expected = [
        "/echo?" + ".".join(str(below(draw_at(SEED, iteration, place, turn), ROWS)) for place in (3, 8))
        for iteration in range(1, 21)
        for turn in range(3)
    ]
    assert paths(target) == expected


def test_a_cell_of_json_keeps_its_type(engine: Engine, target: TargetServer, tmp_path: Path) -> None:
    values = ['text "é"', "1", "-1.50", "true", "null", '{"b": [1, "ü"], "a": 12345678901234567890}']
    row = [Cell(values[0]), *(Cell(text, True) for text in values[1:])]
    write_table(tmp_path / "t.table", [f"c{number}" for number in range(6)], [row], bytes(32))
    table = DataTable(
        "t", tuple(f"c{number}" for number in range(6)), 1, "iteration", "in_order", f"{tmp_path}/t.table"
    )
    pieces = [piece for number in range(6) for piece in (cell(number, encoding=Encoding.JSON_VALUE), "|")]
    plain = [piece for number in range(6) for piece in (cell(number, encoding=Encoding.RAW), "|")]
    request = replace(step(method="POST"), body=parts(*pieces, *plain))
    run(engine, replace(scenario(target, requests(0), request), data=(table,)))
    (captured,) = target.captured()
    body = (captured.raw or b"").partition(b"\r\n\r\n")[2].decode()
    compact = ["1", "-1.5", "true", "null", '{"b":[1,"ü"],"a":12345678901234567890}']
    assert body == "|".join(['"text \\"é\\""', *compact, 'text "é"', *compact]) + "|"


def used(ran: Ran) -> tuple[int, int]:
    """Rows used and repeated, of table 0."""
    counts = [part for interval in ran.intervals for part in interval.data]
    return sum(part.used for part in counts), sum(part.repeated for part in counts)


@pytest.mark.parametrize(("total", "expected"), [(40, (40, 0)), (ROWS, (ROWS, 0)), (250, (ROWS, 250 - ROWS))])
@pytest.mark.parametrize("pick", ["in_order", "shuffled"])
def test_rows_used_and_repeated_are_counted(
    engine: Engine, target: TargetServer, numbers: DataTable, pick: Any, total: int, expected: tuple[int, int]
) -> None:
    assert used(run(engine, plan_of(target, replace(numbers, pick=pick), load=closed(5), total=total))) == expected


def test_a_row_per_user_is_used_once_by_its_user(engine: Engine, target: TargetServer, numbers: DataTable) -> None:
    made = plan_of(target, replace(numbers, per="user"), load=closed(5), total=60)
    assert used(run(engine, made)) == (len({user for _, _, user in sent(target)}), 0)
    few = replace(made, data=(replace(numbers, per="user", pick="random"),))
    found, repeated = used(run(engine, few))
    assert found + repeated <= 5


@pytest.mark.parametrize("kind", ["missing", "damaged", "another"])
def test_a_table_that_is_not_the_one_of_the_plan_is_an_error_before_the_first_request(
    engine: Engine, target: TargetServer, numbers: DataTable, kind: str
) -> None:
    path = Path(numbers.path)
    if kind == "missing":
        path.unlink()
    elif kind == "damaged":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        write_table(path, ["n", "twice"], [["1", "2"]], bytes(32))
    with pytest.raises(EngineError, match="numbers"):
        run(engine, plan_of(target, numbers, total=5))
    assert target.stats().received == 0
