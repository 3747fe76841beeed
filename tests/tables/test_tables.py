"""Tables of test data: every format, every error with its place, and what a damaged file does."""

from __future__ import annotations

import json
import os
import random
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.errors import DataError
from atm.tables.layout import Layout
from atm.tables.spec_tables import SpecTables
from atm.tables.table_cache import TableCache
from atm.tables.table_file import IS_JSON, MOST_COLUMNS, Cell, Table
from atm.tables.table_request import TableRequest
from atm.tables.table_writer import write_table
from tests.examples import examples

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
VECTOR = Path(__file__).parents[1] / "vectors/rows.table"


@pytest.fixture
def cache(tmp_path: Path) -> TableCache:
    return TableCache(tmp_path / "cache")


def rows_of(table: Table) -> list[list[Any]]:
    """The values of all cells; JSON is parsed."""
    found = []
    for row in range(table.rows):
        cells = [table.cell(row, column) for column in range(len(table.columns))]
        found.append([json.loads(cell.text) if cell.is_json else cell.text for cell in cells])
    table.close()
    return found


def read(cache: TableCache, tmp_path: Path, name: str, content: str | bytes, layout: Layout) -> Table:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return cache.of_file(path, name, layout)


@pytest.mark.parametrize(
    ("content", "layout", "columns", "rows"),
    [
        ("a,b\n1,2\n", Layout("csv"), ("a", "b"), [["1", "2"]]),
        ('\ufeffa,b\r\n1,"x,""y"""\r\n', Layout("csv"), ("a", "b"), [["1", 'x,"y"']]),
        ('a;b\n1;2\n\n3;"4\n5"', Layout("csv", None, ";"), ("a", "b"), [["1", "2"], ["3", "4\n5"]]),
        ("1,2\n3,4\n", Layout("csv", ("a", "b")), ("a", "b"), [["1", "2"], ["3", "4"]]),
        ("a, b\n3,4\n", Layout("csv", ("a", "b")), ("a", "b"), [["3", "4"]]),
        ("ä\t名\n😀\tß\n", Layout("csv", None, "\t"), ("ä", "名"), [["😀", "ß"]]),
        ('[{"a": 1, "b": "x"}, {"b": null, "a": [1.5]}]', Layout("json"), ("a", "b"), [[1, "x"], [[1.5], None]]),
        (' [\n{"a": 1, "b": 2}]\n', Layout("json", ("b",)), ("b",), [[2]]),
        ('{"a": true}\n\n{"a": {"é": 1}}', Layout("jsonl"), ("a",), [[True], [{"é": 1}]]),
        ("lamp\nred chair\n\nclock", Layout("lines"), ("line",), [["lamp"], ["red chair"], ["clock"]]),
        ("lamp\r\n,\r\n", Layout("lines", ("q",)), ("q",), [["lamp"], [","]]),
    ],
)
def test_each_format_is_read(
    cache: TableCache, tmp_path: Path, content: str, layout: Layout, columns: tuple[str, ...], rows: list[list[Any]]
) -> None:
    table = read(cache, tmp_path, "rows", content, layout)
    assert table.columns == columns
    assert rows_of(table) == rows


@pytest.mark.parametrize(
    ("content", "layout", "code", "place", "says"),
    [
        (b"", Layout("csv"), "no_rows", "f", "no rows"),
        (b"a,b\n", Layout("csv"), "no_rows", "", "no rows"),
        (b"a,b\n1,2\n3\n", Layout("csv"), "ragged_row", "f:3", "the row has 1 cell, and there are 2 columns: a, b"),
        (b'a,b\n"1\n2",2\n1,2,3\n', Layout("csv"), "ragged_row", "f:4", "3 cells"),
        (b"1,2,3\n", Layout("csv", ("a", "b")), "ragged_row", "f:1", "3 cells"),
        (b"a,b,a\n1,2,3\n", Layout("csv"), "bad_columns", "f:1", 'two columns are called "a"'),
        (b"a,,b\n1,2,3\n", Layout("csv"), "bad_columns", "f:1", "column 2 has no name"),
        (b'a,b\n1,"2\n', Layout("csv"), "bad_csv", "f:2", "unexpected end of data"),
        (b'a,b\n1,"2"3\n', Layout("csv"), "bad_csv", "f:2", "expected after"),
        (b"a\n" + b"x" * 140_000, Layout("csv"), "bad_csv", "f:2", "a cell has more than 131,072 characters"),
        (b"a,b\n1,\xc3\xa4\n2,\xc3\xa4x\xe4\n", Layout("csv"), "not_utf8", "f:3:5", "byte 0xe4"),
        ("a\n1\n".encode("utf-16"), Layout("csv"), "not_utf8", "f:1:1", "byte 0xff"),
        (b"\xff\n", Layout("lines"), "not_utf8", "f:1:1", "byte 0xff"),
        (b"a\nb\n", Layout("lines", ("x", "y")), "bad_columns", "f", "plain lines have one column"),
        (b"\n\n", Layout("lines"), "no_rows", "f", "no rows"),
        (b"", Layout("json"), "bad_json", "f:1:1", "an array of objects"),
        (b"[]", Layout("json"), "no_rows", "f", "no rows"),
        (b'{"a": 1}', Layout("json"), "bad_json", "f:1:1", "an array of objects"),
        (b'[\n {"a": 1},\n {"a": 1 "b": 2}]', Layout("json"), "bad_json", "f:3:10", "delimiter"),
        (b'[{"a": 1},\n1]', Layout("json"), "bad_json", "f:2:1", "a row must be an object"),
        (b'[{"a": 1}\n{"a": 2}]', Layout("json"), "bad_json", "f:2:1", "a comma or ] is missing"),
        (b'[{"a": 1}', Layout("json"), "bad_json", "f:1:10", "a comma or ] is missing"),
        (b'[{"a": 1}] x', Layout("json"), "bad_json", "f:1:12", "after the end"),
        (b'[{"a": 1},\n{"b": 2}]', Layout("json"), "ragged_row", "f:2", 'the row has no "a"'),
        (b'[{"a": 1},\n{"a": 2, "b": 2}]', Layout("json"), "ragged_row", "f:2", 'a further field "b"'),
        (b'[{"a": NaN}]', Layout("json"), "bad_json", "f:1:2", "NaN is not JSON"),
        (b'[{"a": 1e999}]', Layout("json"), "bad_json", "f:1:2", "too large"),
        (b'[{"a": ' + b"[" * 100_000, Layout("json"), "bad_json", "f:1:", ""),
        (b'[{"a": 1},\n{"a": "\xe4"}]', Layout("json"), "not_utf8", "f:2:8", "byte 0xe4"),
        (b'[{"a": "\\ud800"}]', Layout("json"), "bad_text", "", "row 1"),
        (b'{"a": 1}\n[1]\n', Layout("jsonl"), "bad_row", "f:2", "an object, not a list"),
        (b'{"a": 1}\n{"a": }\n', Layout("jsonl"), "bad_json", "f:2:7", "expecting value"),
        (b'{"a": 1}\n{"a": Infinity}\n', Layout("jsonl"), "bad_json", "f:2", "Infinity is not JSON"),
    ],
)
def test_every_error_names_its_place(
    cache: TableCache, tmp_path: Path, content: bytes, layout: Layout, code: str, place: str, says: str
) -> None:
    with pytest.raises(DataError) as caught:
        read(cache, tmp_path, "f", content, layout)
    (problem,) = caught.value.problems
    assert (problem.code, problem.place.startswith(place)) == (code, True), problem
    assert says in problem.what
    assert not list((tmp_path / "cache").glob("*")) if (tmp_path / "cache").exists() else True


@examples(200)
@given(data=st.data())
def test_what_is_written_is_read(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    width = data.draw(st.integers(1, 4))
    columns = data.draw(st.lists(TEXT.filter(bool), min_size=width, max_size=width, unique=True))
    cells = st.builds(Cell, TEXT, st.booleans())
    rows = data.draw(st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=20))
    path = tmp_path_factory.mktemp("table") / "t.table"
    write_table(path, columns, rows, bytes(32))
    table = Table(path)
    assert (table.columns, table.rows) == (tuple(columns), len(rows))
    assert [[table.cell(row, column) for column in range(width)] for row in range(len(rows))] == rows
    table.close()


@examples(200)
@given(rows=st.lists(st.fixed_dictionaries({"a": VALUES, "b c": VALUES}), min_size=1, max_size=10), lines=st.booleans())
def test_json_keeps_its_values(
    rows: list[dict[str, Any]], lines: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("json")
    text = "\n".join(map(json.dumps, rows)) if lines else json.dumps(rows, indent=1)
    table = read(TableCache(directory / "c"), directory, "f", text, Layout("jsonl" if lines else "json"))
    assert rows_of(table) == [[row[column] for column in table.columns] for row in rows]


def test_a_json_array_is_read_in_pieces(cache: TableCache, tmp_path: Path) -> None:
    rows = [{"n": number, "text": "é😀" * (number % 300)} for number in range(4_000)]
    table = read(cache, tmp_path, "big.json", json.dumps(rows, ensure_ascii=False), Layout("json"))
    assert os.path.getsize(tmp_path / "big.json") > 3 << 19
    assert rows_of(table) == [[row["n"], row["text"]] for row in rows]
    broken = json.dumps(rows, indent=0).replace('"n": 3500,', '"n": 3500', 1)
    with pytest.raises(DataError) as caught:
        read(cache, tmp_path, "broken.json", broken, Layout("json"))
    line = broken[: broken.index('"n": 3500')].count("\n") + 2
    assert caught.value.problems[0].place == f"broken.json:{line}:1"


def test_a_table_is_made_once_per_content_and_way_to_read_it(cache: TableCache, tmp_path: Path) -> None:
    first = read(cache, tmp_path, "a.csv", "a,b\n1,2\n", Layout("csv"))
    again = read(cache, tmp_path, "other.csv", "a,b\n1,2\n", Layout("csv"))
    assert again.path == first.path
    assert read(cache, tmp_path, "a.csv", "a,b\n1,3\n", Layout("csv")).path != first.path
    assert read(cache, tmp_path, "a.csv", "a,b\n1,2\n", Layout("csv", ("x", "y"))).path != first.path
    inode = os.stat(first.path).st_ino
    assert os.stat(read(cache, tmp_path, "a.csv", "a,b\n1,2\n", Layout("csv")).path).st_ino == inode
    assert os.stat(first.path).st_mode & 0o077 == 0


def test_a_damaged_table_is_made_again(cache: TableCache, tmp_path: Path) -> None:
    first = read(cache, tmp_path, "a.csv", "a,b\n1,2\n", Layout("csv"))
    first.close()
    Path(first.path).write_bytes(b"nonsense")
    assert rows_of(read(cache, tmp_path, "a.csv", "a,b\n1,2\n", Layout("csv"))) == [["1", "2"]]


def test_tables_that_are_not_used_any_more_are_removed(cache: TableCache, tmp_path: Path) -> None:
    old = read(cache, tmp_path, "a.csv", "a\n1\n", Layout("csv"))
    kept = read(cache, tmp_path, "a.csv", "a\n2\n", Layout("csv"))
    os.utime(old.path, (1, 1))
    abandoned = Path(old.path).with_name(".x.tmp")
    abandoned.touch()
    os.utime(abandoned, (1, 1))
    read(cache, tmp_path, "a.csv", "a\n3\n", Layout("csv"))
    assert (os.path.exists(old.path), os.path.exists(kept.path), abandoned.exists()) == (False, True, False)


def test_several_threads_make_the_same_table(cache: TableCache, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n" + "".join(f"{number},x\n" for number in range(20_000)))
    made: list[list[Any]] = []

    def make() -> None:
        table = cache.of_file(tmp_path / "a.csv", "a.csv", Layout("csv"))
        made.append([table.path, table.cell(19_999, 0).text])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [made[0]] * 4
    assert made[0][1] == "19999"
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("kind", ["missing", "directory", "pipe"])
def test_what_is_no_file_is_an_error(cache: TableCache, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.csv"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(DataError, match="file_not_read"):
        cache.of_file(path, "a.csv", Layout("csv"))


def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match="data_not_written"):
        read(TableCache(tmp_path / "cache" / "below"), tmp_path, "a.csv", "a\n1\n", Layout("csv"))


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        ([["a", 1], ["b", None]], ("x", "y"), [["a", 1], ["b", None]]),
        ([{"x": "a", "y": 1.5}], None, [["a", 1.5]]),
        (["lamp", "chair"], ("q",), [["lamp"], ["chair"]]),
        ([{"y": 1, "x": 2}], ("x", "y"), [[2, 1]]),
    ],
)
def test_rows_of_a_spec_make_a_table(
    cache: TableCache, rows: list[Any], columns: tuple[str, ...] | None, expected: list[list[Any]]
) -> None:
    table = cache.of_rows(rows, columns)
    assert table.path == cache.of_rows(rows, columns).path
    assert rows_of(table) == expected


@pytest.mark.parametrize(
    ("rows", "columns", "code", "place"),
    [
        ([[1, 2], [1]], ("x", "y"), "ragged_row", "[1]"),
        ([["a"]], None, "no_columns", "[0]"),
        ([{"a": 1}, {"b": 1}], None, "ragged_row", "[1]"),
        ([{"a": 1}, ["x", 2]], None, "ragged_row", "[1]"),
        ([[1, 2]], ("x", "x"), "bad_columns", ""),
        ([[1] * (MOST_COLUMNS + 1)], tuple(map(str, range(MOST_COLUMNS + 1))), "data_limit", ""),
    ],
)
def test_rows_that_make_no_table_are_an_error(
    cache: TableCache, rows: list[Any], columns: tuple[str, ...] | None, code: str, place: str
) -> None:
    with pytest.raises(DataError) as caught:
        cache.of_rows(rows, columns)
    (problem,) = caught.value.problems
    assert (problem.code, problem.place) == (code, place)


def test_files_are_those_below_the_directory_of_the_spec(tmp_path: Path) -> None:
    (tmp_path / "specs/data").mkdir(parents=True)
    (tmp_path / "specs/data/a.csv").write_text("a\n1\n")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    (tmp_path / "specs/link.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "specs/inner.csv").symlink_to(tmp_path / "specs/data/a.csv")
    tables = SpecTables(tmp_path / "specs", tmp_path / "data")

    def opened(file: str) -> int:
        return tables(TableRequest(None, file, Layout("csv"))).rows

    for file in ("data/a.csv", "inner.csv", "../specs/data/a.csv", str(tmp_path / "specs/data/a.csv")):
        assert opened(file) == 1
    for file in ("../secret.csv", "link.csv", str(tmp_path / "secret.csv"), "/etc/passwd"):
        with pytest.raises(DataError, match="file_not_allowed"):
            opened(file)
    with pytest.raises(DataError, match="a server reads no files"):
        SpecTables(None, tmp_path / "data")(TableRequest(None, "data/a.csv", Layout("csv")))


def test_a_damaged_file_is_an_error_and_never_anything_else(tmp_path: Path) -> None:
    whole = VECTOR.read_bytes()
    source = random.Random(7)
    path = tmp_path / "t.table"
    outcomes = set()
    for turn in range(3000):
        content = bytearray(whole)
        if turn < len(whole):
            del content[turn:]
        else:
            for _ in range(source.randint(1, 4)):
                content[source.randrange(8, len(content))] = source.choice(
                    (0, 1, 0x7F, 0x80, 0xFF, source.randrange(256))
                )
        path.write_bytes(content)
        try:
            table = Table(path)
        except DataError:
            outcomes.add("refused")
            continue
        for row in range(min(table.rows, 4)):
            for column in range(min(len(table.columns), 4)):
                try:
                    table.cell(row, column)
                    outcomes.add("cell")
                except DataError:
                    outcomes.add("no cell")
        table.close()
    assert outcomes == {"refused", "cell", "no cell"}


def test_the_file_of_the_native_tests_is_what_we_write(tmp_path: Path) -> None:
    rows = [
        [Cell("Ada"), Cell("1815", True), Cell('{"a":[1,null]}', True)],
        [Cell(""), Cell("-1.5", True), Cell('{"a": 1}')],
        [Cell("Zoë 😀"), Cell("true", True), Cell("last\n")],
    ]
    write_table(tmp_path / "t.table", ["name", "born", "more"], rows, bytes(range(32)))
    assert (tmp_path / "t.table").read_bytes() == VECTOR.read_bytes()
    assert IS_JSON == 0x8000_0000
