"""Every file of `examples/` is run against the target server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from atm.testing import TargetServer
from tests.cli.program import atm
from tools.repository import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
LOCUSTFILE = ROOT / "examples" / "locustfile.py"


@pytest.fixture(scope="module")
def target() -> Iterator[TargetServer]:
    with TargetServer() as server:
        yield server


def test_there_is_more_than_one() -> None:
    assert len(EXAMPLES) > 1


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_as_it_says(path: Path, target: TargetServer, tmp_path: Path) -> None:
    process = atm(tmp_path, "run", str(path), "--var", f"base={target.url}", "-z", "2s", "--json", "--no-history")
    result = json.loads(process.out)
    # On a busy machine the measurement may be invalid, and a time may be over its limit; errors may not.
    assert process.code in (0, 4, 99), process.err
    assert result["metrics"]["error_rate"] < 0.02
    assert result["metrics"]["total_requests"] > 0


def test_the_example_of_a_locustfile_runs_as_it_is(target: TargetServer, tmp_path: Path) -> None:
    load = ("--host", target.url, "--users", "5", "-z", "2s")
    process = atm(tmp_path, "run", str(LOCUSTFILE), *load, "--json", "--no-history")
    result = json.loads(process.out)
    assert process.code in (0, 4), process.err
    assert result["metrics"]["total_requests"] > 0
    assert result["metrics"]["failed_requests"] == 0
