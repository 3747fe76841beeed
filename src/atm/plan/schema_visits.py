"""How often a JSON Schema visits one value: a bound that is checked before the run.

Each `allOf`, `anyOf`, `$ref` and so on applies another schema to the same value, so that a short schema can visit a
value 2^n times, or nest without an end. A value's members are values of their own, and are counted on their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

MOST_VISITS = 10_000
"""Schemas that are applied to one value."""
MOST_LEVELS = 50
"""Schemas within each other that are applied to one value. A body has at most 128 levels, each with as many."""

_LISTS = ("allOf", "anyOf", "oneOf")
_SCHEMAS = ("not", "if", "then", "else")
_MAPS = ("dependentSchemas", "dependencies")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_ANCHORS = ("$anchor", "$dynamicAnchor")


def excess(schema: Any) -> str:
    """Return what is too much for one value; empty if the schema is within the bounds."""
    nodes = list(_nodes(schema))
    applied = _Applied(schema, _names(nodes))
    for node in nodes:
        visits, levels = applied.cost(node, MOST_LEVELS)
        if levels > MOST_LEVELS:
            return f"applies more than {MOST_LEVELS} schemas within each other to one value"
        if visits > MOST_VISITS:
            return f"applies more than {MOST_VISITS:,} schemas to one value"
    return ""


class _Applied:
    """The visits and levels of each schema, on one value."""

    def __init__(self, root: Any, names: dict[str, dict[str, Any]]) -> None:
        self._root = root
        self._names = names
        self._costs: dict[int, tuple[int, int]] = {}

    def cost(self, node: dict[str, Any], levels: int) -> tuple[int, int]:
        """Return visits and levels; without an end, more levels than are left."""
        if levels < 0:
            return 1, MOST_LEVELS + 1
        known = self._costs.get(id(node))
        if known is None:
            visits, deepest = 1, 0
            for inner in _applied(node, self._root, self._names):
                more, below = self.cost(inner, levels - 1)
                visits, deepest = visits + more, max(deepest, below)
                if deepest > MOST_LEVELS:
                    break
            known = self._costs[id(node)] = visits, deepest + 1
        return known


def _applied(node: dict[str, Any], root: Any, names: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the schemas that a schema applies to the same value."""
    found: list[Any] = []
    for key in _LISTS:
        listed = node.get(key)
        found += listed if isinstance(listed, list) else []
    found += [node.get(key) for key in _SCHEMAS]
    for key in _MAPS:
        mapped = node.get(key)
        found += mapped.values() if isinstance(mapped, dict) else []
    for key in _REFERENCES:
        reference = node.get(key)
        found.append(_resolved(reference, root, names) if isinstance(reference, str) else None)
    return [each for each in found if isinstance(each, dict)]


def _resolved(reference: str, root: Any, names: dict[str, dict[str, Any]]) -> Any:
    """Return what a reference within the schema refers to; None for any other, which the library judges."""
    base, _, fragment = reference.partition("#")
    found: Any = names.get(base) if base else root
    if not fragment.startswith("/"):
        return names.get(f"#{fragment}") if fragment else found
    for part in unquote(fragment)[1:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(key)
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield each object within a schema, at any depth."""
    waiting = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _names(nodes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return schemas by `$id`, and by anchor with its `#`."""
    names: dict[str, dict[str, Any]] = {}
    for node in nodes:
        if isinstance(identity := node.get("$id"), str):
            names[identity.rstrip("#")] = node
        for key in _ANCHORS:
            if isinstance(anchor := node.get(key), str):
                names[f"#{anchor}"] = node
    return names
