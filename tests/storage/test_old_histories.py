"""Histories and a bundle of earlier versions are read, and show the same figures.

`histories/` holds what version 0.1.0 wrote before its records had versions of their own: a SQLite and a JSON data
directory (five runs each: thresholds that hold and fail, a cancelled run, samples, a fired schedule), one bundle, and
what the Control API of that version showed of them. A later version may show more, never less and nothing else.
"""

from __future__ import annotations

import json
import lzma
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.server import ApiServer, events

HISTORIES = Path(__file__).parent / "histories"
BUNDLE = "897ab1a8a3cc"
"""The id of the run in the bundle; the SQLite history has it too."""
JUDGED_BY_TODAYS_RULE = re.compile(
    r".*\.passed: True is now False$|.*\.exit_code: 0 is now 99$"
    r"|.*\.failure_reasons: \[\] is now \['\d+ of \d+ requests failed"
    r"|.*\.thresholds: \[\] is now \[\{'expression': 'error_rate <= 0 %'"
)
"""One of the runs had no thresholds, all its requests failed, and it passed: no request may fail now."""


def shown_run(client: httpx.Client, run_id: str) -> dict[str, Any]:
    """Everything that the API shows of a run."""
    documents = {
        name: client.get(f"/runs/{run_id}{path}")
        for name, path in {
            "run": "",
            "result": "/result",
            "seconds": "/intervals?resolution=1",
            "tens": "/intervals?resolution=10",
            "samples": "/samples",
            "distribution": "/distribution",
        }.items()
    }
    assert {name: answer.status_code for name, answer in documents.items()} == dict.fromkeys(documents, 200)
    shown = {name: answer.json() for name, answer in documents.items()}
    return {**shown, "events": [[kind, data] for _, kind, data in events(client, run_id)]}


def shown(client: httpx.Client) -> dict[str, Any]:
    """Everything that the API shows of a history."""
    lists = {name: client.get(f"/{name}").json() for name in ("runs", "tests", "schedules", "keys", "history")}
    firings = client.get("/schedules/hourly/firings").json()
    runs = {run["id"]: shown_run(client, run["id"]) for run in lists["runs"]["runs"]}
    return {**lists, "firings": firings, "each_run": runs}


def expected(name: str) -> Any:
    return json.loads(lzma.decompress((HISTORIES / "shown.json.xz").read_bytes()))[name]


def less(before: Any, now: Any, place: str = "") -> Iterator[str]:
    """Where `now` lacks or changes something of `before`; fields added later are ignored."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name, value in before.items():
            yield from less(value, now[name], f"{place}.{name}") if name in now else [f"{place}.{name} is gone"]
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from less(one, other, f"{place}[{index}]")
    elif before != now:
        yield f"{place}: {str(before)[:200]} is now {str(now)[:200]}"


@pytest.fixture(scope="module", params=["sqlite", "json"])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any]]:
    """A server of today on a history of then."""
    folder = tmp_path_factory.mktemp(request.param)
    with tarfile.open(HISTORIES / f"{request.param}.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    server = ApiServer(
        folder,
        ATM_STORAGE_TYPE=request.param,
        ATM_SECRET_KEY="0123456789abcdef0123",
        API_TEST_MACHINE_API_KEY="b7Qm2xVt9KsLw4Zr8NcFy6Hd",
    )
    with server.ready().client(Authorization="Bearer b7Qm2xVt9KsLw4Zr8NcFy6Hd") as client:
        yield request.param, client
    server.stop()


def test_a_history_of_then_shows_the_same_figures(history: tuple[str, httpx.Client]) -> None:
    kind, client = history
    found = [each for each in less(expected(kind), shown(client)) if not JUDGED_BY_TODAYS_RULE.match(each)]
    assert found == []


def test_a_bundle_of_then_shows_the_same_figures(history: tuple[str, httpx.Client]) -> None:
    kind, client = history
    if kind == "sqlite":
        client.delete(f"/runs/{BUNDLE}").raise_for_status()
    client.post("/import/bundle", content=(HISTORIES / "shop.atm.gz").read_bytes()).raise_for_status()
    assert list(less(expected("bundle"), shown_run(client, BUNDLE))) == []
