"""Compile JSONPath queries (RFC 9535) to functions that select nodes of a JSON value.

Queries of names, indices and `*` alone, which are most, are compiled here, faster and without the library that parses
all others (`json_path_queries.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from atm.plan.json_path_queries import QueryError, parsed

Nodes = Callable[[Any], Iterator[Any]]
"""Returns the values of the selected nodes of a JSON value, in order; they may be computed one by one."""

MOST_CHARACTERS = 1000
MOST_DESCENDANTS = 2
"""Each `..` multiplies the time by the depth of the response."""

_HINT = "docs/reference/scenarios.md has examples; the syntax is RFC 9535"
_SHOWN = 120
_NAME = r"[A-Za-z_\u0080-\U0010FFFF][A-Za-z0-9_\u0080-\U0010FFFF]*"
_STEP = re.compile(
    rf"""\.(?P<name>{_NAME}) | \['(?P<single>[^'"\\\x00-\x1f]*)'\] | \["(?P<double>[^'"\\\x00-\x1f]*)"\]
    | \[(?P<index>0|-?[1-9][0-9]{{0,14}})\] | (?P<all>\.\*|\[\*\])""",
    re.VERBOSE,
)
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_ALL = object()


class JsonPathError(ValueError):
    """An invalid JSONPath query."""

    def __init__(self, what: str, hint: str = _HINT) -> None:
        super().__init__(what)
        self.hint = hint


def compiled(path: str) -> Nodes:
    """Compile a JSONPath query. Raises JsonPathError."""
    if len(path) > MOST_CHARACTERS:
        what = f"the JSONPath has {len(path)} characters; the maximum is {MOST_CHARACTERS}"
        raise JsonPathError(what, "Select a node above it")
    steps = _simple_steps(path)
    if steps is None:
        return _by_library(path)
    return _all_of(steps) if _ALL in steps else _one_of(steps)


def selects_one(path: str) -> bool:
    """Return whether a valid query of names and indices alone selects at most one node."""
    steps = _simple_steps(path)
    return steps is not None and _ALL not in steps


def _simple_steps(path: str) -> list[Any] | None:
    """Return the steps of a query of names (str), indices (int) and `*` (_ALL) alone; None for any other text."""
    if not path.startswith("$"):
        return None
    at, steps = 1, list[Any]()
    while at < len(path):
        match = _STEP.match(path, at)
        if not match:
            return None
        if match["index"] is not None:
            steps.append(int(match["index"]))
        elif match["all"] is not None:
            steps.append(_ALL)
        else:
            steps.append(next(match[kind] for kind in ("name", "single", "double") if match[kind] is not None))
        at = match.end()
    return steps


def _one_of(steps: list[Any]) -> Nodes:
    """Return the evaluation of a query that selects at most one node."""

    def nodes(node: Any) -> Iterator[Any]:
        for step in steps:
            kind = type(node)
            if (kind is dict and type(step) is str and step in node) or (
                kind is list and type(step) is int and -len(node) <= step < len(node)
            ):
                node = node[step]
            else:
                return
        yield node

    return nodes


def _all_of(steps: list[Any]) -> Nodes:
    def nodes(document: Any) -> Iterator[Any]:
        selected: Iterable[Any] = (document,)
        for step in steps:
            selected = _children(selected, step)
        return iter(selected)

    return nodes


def _children(nodes: Iterable[Any], step: Any) -> Iterator[Any]:
    for node in nodes:
        kind = type(node)
        if step is _ALL:
            if kind is list:
                yield from node
            elif kind is dict:
                yield from node.values()
        elif (kind is dict and type(step) is str and step in node) or (
            kind is list and type(step) is int and -len(node) <= step < len(node)
        ):
            yield node[step]


def _by_library(path: str) -> Nodes:
    shown = path if len(path) <= _SHOWN else path[: _SHOWN - 1] + "…"
    if not path.startswith("$"):
        raise JsonPathError(f'"{shown}" is not a JSONPath: it does not start with $')
    if path.endswith((" ", "\t", "\r", "\n")):
        raise JsonPathError(f'"{shown}" is not a JSONPath: it ends with white space')
    if _QUOTED.sub("", path).count("..") > MOST_DESCENDANTS:
        what = f'"{shown}" has more than {MOST_DESCENDANTS} times `..`, which takes too long on a deep response'
        raise JsonPathError(what, "Write the names between them")
    try:
        select = parsed(path)
    except QueryError as error:
        raise JsonPathError(f'"{shown}" is not a JSONPath: {error}') from None
    return lambda document: select(document, document)
