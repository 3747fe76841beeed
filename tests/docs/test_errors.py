from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
ROOMS = (
    "cli",
    "models",
    "plan",
    "engine",
    "api",
    "runs",
    "storage",
    "schedules",
    "tables",
    "client",
    "mcp_server",
    "config.py",
)
_CODE = re.compile(r"[a-z]+(?:_[a-z0-9]+)*")


def codes_in(tree: ast.Module) -> Iterator[str]:
    """The literal codes of `Problem(what, code)` and of `findings.add(path, what, code)`."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        position = {"Problem": 1, "add": 2}.get(name)
        if position is None:
            continue
        given = [keyword.value for keyword in call.keywords if keyword.arg == "code"] + call.args[
            position : position + 1
        ]
        for value in given:
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and _CODE.fullmatch(value.value):
                yield value.value


def codes_of(room: str) -> set[str]:
    path = ROOT / "src/atm" / room
    files = [path] if path.suffix else path.rglob("*.py")
    return {code for path in files for code in codes_in(ast.parse(path.read_text(encoding="utf-8")))}


@pytest.mark.parametrize("room", ROOMS)
def test_every_code_that_people_meet_is_on_the_page(room: str) -> None:
    codes = codes_of(room)
    assert codes
    assert sorted(code for code in codes if f"`{code}`" not in PAGE) == []
