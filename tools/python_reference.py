"""Render the reference of what code in tests can use, from type hints and docstrings."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from atm.code.hooks import Context, Headers, Request, hook
from atm.code.own_metrics import Counter, Gauge, Trend
from atm.code.response import Response
from atm.code.scenario import scenario, test
from atm.code.user import User
from atm.pytest_plugin import LoadTests

_HEAD = """# Python in tests

What the functions of [tests in Python](../guide/tests-in-python.md) and [hooks](../guide/hooks.md) can use.
This page is generated from the code.

"""
_LEFT_OUT = {"begin"}
"""Called by the engine."""


def python_reference() -> str:
    """Return the page."""
    parts = [_HEAD, "## Declarations\n\n"]
    parts += [_function(f"atm.{function.__name__}", function) for function in (scenario, test, hook)]
    for metric in (Counter, Trend, Gauge):
        parts.append(
            f"### `{metric.__name__}`\n\n```text\natm.{metric.__name__}(name: str, *, unit: str = '')\n```\n\n"
        )
        parts.append(f"{_about(metric)}\n\n")
        recorded = {"add": vars(metric).get("add"), "set": vars(metric).get("set")}
        parts += [f"`{name}{_signature(member)}`: {_about(member)}\n\n" for name, member in recorded.items() if member]
    kinds = (
        (User, "atm.User"),
        (Response, "atm.Response"),
        (Request, "atm.Request"),
        (Headers, "The headers of a request"),
        (Context, "atm.Context"),
        (LoadTests, "The pytest fixture `atm`"),
    )
    for kind, name in kinds:
        parts.append(f"## {name}\n\n{_about(kind)}\n\n")
        attributes = list(_attributes(kind))
        if attributes:
            parts.append("| attribute | meaning |\n|---|---|\n" + "".join(attributes) + "\n")
        parts += [
            _function(member_name, member)
            for member_name, member in vars(kind).items()
            if not member_name.startswith("_") and member_name not in _LEFT_OUT and inspect.isfunction(member)
        ]
    return "".join(parts).rstrip() + "\n"


def _function(name: str, function: Callable[..., Any]) -> str:
    signature = _signature(function)
    return f"### `{name.removeprefix('atm.')}`\n\n```text\n{name}{signature}\n```\n\n{_about(function)}\n\n"


def _signature(function: Callable[..., Any]) -> str:
    signature = str(inspect.signature(inspect.unwrap(function))).replace("(self, ", "(").replace("(self)", "()")
    return re.sub(r"'([^']*)'", r"\1", re.sub(r"<[^<>]* object[^<>]*>", "…", signature))


def _attributes(kind: type) -> Iterator[str]:
    """Yield rows for the attributes that `__init__` documents, and for the properties."""
    source = inspect.getsource(kind)
    for match in re.finditer(r'self\.([a-z]\w*)[^\n]* = [^\n]*\n\s+"""(.*?)"""', source, re.DOTALL):
        yield _row(match[1], match[2])
    for name, member in vars(kind).items():
        if isinstance(member, property) and not name.startswith("_"):
            yield _row(name, member.__doc__ or "")


def _row(name: str, text: str) -> str:
    return f"| `{name}` | {' '.join(text.split()).replace('|', chr(92) + '|')} |\n"


def _about(item: object) -> str:
    text = inspect.getdoc(item) or ""
    written = [
        f"```text\n{textwrap.dedent(part)}\n```" if part.startswith("    ") else " ".join(part.split())
        for part in text.split("\n\n")
    ]
    return "\n\n".join(written)
