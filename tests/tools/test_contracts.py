from __future__ import annotations

from pathlib import Path

import grimp
import pytest

from tools.contracts import AcyclicContract, HomesContract


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


@pytest.mark.parametrize(
    ("name", "back", "kept"),
    [
        ("straight", "", True),
        ("round", "from {name}.parts import above", False),
        ("typed", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import {name}.parts.above", False),
    ],
)
def test_files_import_each_other_in_no_circle_not_even_for_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, back: str, kept: bool
) -> None:
    name = f"{name}_package"
    parts = tmp_path / name / "parts"
    parts.mkdir(parents=True)
    for folder in (parts, parts.parent):
        (folder / "__init__.py").touch()
    (parts / "above.py").write_text(f"from {name}.parts import middle\n")
    (parts / "middle.py").write_text(f"import {name}.parts.below\n")
    (parts / "below.py").write_text(back.format(name=name) + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    contract = AcyclicContract(name="circles", session_options={}, contract_options={"package": f"{name}.parts"})
    check = contract.check(grimp.ImportGraph(), verbose=False)
    assert check.kept is kept
    circle = [f"{name}.parts.{file}" for file in ("above", "below", "middle")]
    assert check.metadata["circles"] == ([] if kept else [circle])
