"""Test data of a spec: files or rows, and how scenarios use them. Meaning: docs/reference/test-data.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from atm.models.field_types import Choice, Json, ListOf, MapOf, Nested, Text
from atm.models.fields import SpecModel, declared

PICKS = ("in_order", "shuffled", "random", "once")
Pick = Literal["in_order", "shuffled", "random", "once"]
WhenUsedUp = Literal["stop", "recycle", "error"]


class DataSpec(SpecModel):
    """Rows of test data, from a file or written in the spec; a cell is `{{NAME.COLUMN}}`."""

    synonyms: ClassVar[Mapping[str, str]] = {
        "path": "file",
        "csv": "file",
        "delimiter": "separator",
        "order": "pick",
        "strategy": "pick",
        "mode": "pick",
        "values": "rows",
        "on_end": "when_used_up",
        "on_eof": "when_used_up",
    }

    file: str | None = declared(
        Text(1),
        "A file in the directory of the spec or below: CSV, JSON (array of objects), JSON Lines, or plain lines.",
        default=None,
        examples=["accounts.csv"],
    )
    rows: Sequence[Any] | None = declared(
        ListOf(Json(), least=1),
        "The rows themselves instead of a file: objects, or lists with `columns`.",
        default=None,
        examples=[[{"name": "ada", "password": "secret"}]],
    )
    columns: Sequence[str] | None = declared(
        ListOf(Text(1, 100), least=1),
        "Names of the columns, for CSV without a header, plain lines and lists; of JSON, the fields to use.",
        default=None,
        examples=[["name", "password"]],
    )
    format: Literal["csv", "json", "jsonl", "lines"] | None = declared(
        Choice("csv", "json", "jsonl", "lines", spellings={"ndjson": "jsonl", "txt": "lines", "text": "lines"}),
        "Format of the file; default: by its extension (.csv, .tsv, .json, .jsonl, .ndjson, .txt).",
        default=None,
    )
    separator: str | None = declared(
        Text(1, 1), "Character between the cells of CSV; default: a comma, in .tsv a tab.", default=None
    )
    per: Literal["user", "iteration", "use"] = declared(
        Choice("user", "iteration", "use"),
        "What gets a row: each user, each iteration, or each place where it is used (with `pick: random` only).",
        default="iteration",
    )
    pick: Pick | None = declared(
        Choice(*PICKS),
        "Which row: in the order of the file, shuffled (each row once per pass), random (with repetition), or once "
        "(in order, and no row twice); default: `in_order`, and `random` per use.",
        default=None,
    )
    when_used_up: WhenUsedUp | None = declared(
        Choice("stop", "recycle", "error"),
        "After the last row: start no further user or iteration, begin again, or reject a spec that needs more rows; "
        "default: `stop` for `once`, else `recycle`.",
        default=None,
    )


def _written_out(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else {"rows": value}


DATA = MapOf(Nested(DataSpec, _written_out, {"type": ["string", "array"]}))
