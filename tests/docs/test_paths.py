"""Files and packages of the project that a page names exist, and the architecture page names every package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.repository import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ARCHITECTURE = ROOT / "docs" / "architecture.md"
_FROM_THE_TOP = re.compile(
    r"(?<![\w/.-])(?:src|native|webapp|tools|tests|benches|docs|examples|requirements)/[\w./*-]*[\w/*]"
)
_BELOW_ATM = re.compile(r"`([\w.-]+(?:/[\w.-]+)+\.py)`")
GENERATED = {"src/atm/api/static": "written by `make build`"}
"""Paths that need not exist in a checkout, and why."""


def paths_of(text: str) -> set[str]:
    """The paths of project files in a page: from the top of the checkout, or Python files below `src/atm`."""
    return {*_FROM_THE_TOP.findall(text), *_BELOW_ATM.findall(text)} - GENERATED.keys()


def exists(path: str) -> bool:
    """Whether a path, which may be a pattern, names something at the top of the checkout or below `src/atm`."""
    return any(any(folder.glob(path.rstrip("/"))) for folder in (ROOT, ROOT / "src/atm"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    assert [path for path in sorted(paths_of(page.read_text("utf-8"))) if not exists(path)] == []


def test_the_architecture_names_every_package_and_module_at_the_top() -> None:
    named = paths_of(ARCHITECTURE.read_text("utf-8"))
    for path in sorted((ROOT / "src/atm").iterdir()):
        if path.name.startswith(("_", ".")) or path.name == "py.typed":
            continue
        name = path.relative_to(ROOT).as_posix() + ("/" if path.is_dir() else "")
        assert name in named, f"docs/architecture.md does not name {name}"
