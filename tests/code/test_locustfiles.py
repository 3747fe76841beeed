"""Locustfiles run as they are: the counts are those of Locust, and those of the target's own record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from atm.testing import TargetServer
from tests.code.locust_counts import CASES, EXPECTED, FILES, Counts, summed
from tests.code.locust_runs import counts_of, redirects_and_redials, run

LOCUST: dict[str, Counts] = json.loads(EXPECTED.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", CASES)
def test_the_counts_are_those_of_locust_and_of_the_target(name: str, target: TargetServer, tmp_path: Path) -> None:
    case = CASES[name]
    users = () if case.shape else ("--users", str(case.users), "--duration", f"{case.seconds}s")
    result = run(tmp_path, f"{case.file}.py", target, *users, *case.arguments, environment=case.environment)

    counts = counts_of(result)
    assert summed(counts, case) == dict(sorted({**LOCUST[name], **case.only_here}.items()))
    received = target.settled_stats().received
    assert sum(requests for requests, _ in counts.values()) + redirects_and_redials(result) == received


def test_every_kind_of_file_has_a_case() -> None:
    helpers = {"helpers", "ending"}
    assert {case.file for case in CASES.values()} == {file.stem for file in FILES.glob("*.py")} - helpers
