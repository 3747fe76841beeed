from __future__ import annotations

import grimp
import pytest

from tools.contracts import HomesContract


@pytest.mark.parametrize(
    ("importer", "homes", "kept"),
    [
        ("atm.cli.output", "rich: atm.cli", True),
        ("atm.cli", "rich: atm.reports, atm.cli", True),
        ("atm.climate", "rich: atm.cli", False),
        ("atm.models", "rich: atm.cli", False),
        ("atm.cli", "rich:", False),
        ("atm.cli", "typer: atm.reports", True),
    ],
)
def test_a_dependency_is_imported_in_its_homes_only(importer: str, homes: str, kept: bool) -> None:
    graph = grimp.ImportGraph()
    graph.add_module(importer)
    graph.add_module("rich", is_squashed=True)
    graph.add_import(importer=importer, imported="rich", line_number=7, line_contents="import rich")
    contract = HomesContract(name="homes", session_options={}, contract_options={"homes": [homes]})
    check = contract.check(graph, verbose=False)
    assert check.kept is kept
    where = homes.partition(":")[2].strip() or "nowhere"
    assert check.metadata["strays"] == ([] if kept else [f"{importer} imports rich (line 7); its home is {where}"])
