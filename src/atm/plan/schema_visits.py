"""How often a JSON Schema visits one value, and how much the library compiles for it: bounds, checked before the run.

Each `allOf`, `anyOf`, `$ref` and so on applies another schema to the same value, so that a short schema can visit a
value 2^n times, or nest without an end. Visits multiply from a value to its members as well: if two branches judge the
member `a`, and two branches of each judge its member `a`, that one is visited four times. A reference back to a schema
that is being applied ends the count, since the library remembers how those judged a value.

For `unevaluatedProperties` and `unevaluatedItems` the library compiles what they stand beside again, and again in each
schema around that has such a keyword: 15 kB of definitions that refer to each other took 3 GB of memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

MOST_VISITS = 10_000
"""Schemas that are applied to one value."""
MOST_LEVELS = 50
"""Schemas within each other that are applied to one value. A body has at most 128 levels, each with as many."""

MOST_COMPILED = 20_000
"""Schemas that are compiled, each as often as the library does."""
REPEATED = 3
"""How often `unevaluatedProperties` and `unevaluatedItems` apply the schemas beside them: again to find what these
evaluate, and those within them that have such a keyword apply theirs again."""

_LISTS = ("allOf", "anyOf", "oneOf")
_SCHEMAS = ("not", "if", "then", "else")
_MAPS = ("dependentSchemas", "dependencies")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_ANCHORS = ("$anchor", "$dynamicAnchor")
_UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")
_ANY_MEMBER = ("additionalProperties", "items", "additionalItems", "contains", *_UNEVALUATED)
_LISTED_MEMBERS = ("prefixItems", "items")


def excess(schema: Any) -> str:
    """Return what is too much for one value; empty if the schema is within the bounds."""
    nodes = list(_nodes(schema))
    applied = _Applied(schema, _names(nodes))
    for node in nodes:
        if applied.levels(node, MOST_LEVELS) > MOST_LEVELS:
            return f"applies more than {MOST_LEVELS} schemas within each other to one value"
    if isinstance(schema, dict) and _visits(schema, applied) > MOST_VISITS:
        return f"applies more than {MOST_VISITS:,} schemas to one value"
    if isinstance(schema, dict) and _too_much_to_compile(schema, applied):
        return f"repeats more than {MOST_COMPILED:,} schemas for its unevaluatedProperties and unevaluatedItems"
    return ""


class _Applied:
    """The schemas that each schema applies to the same value, and how many of them are within each other."""

    def __init__(self, root: Any, names: dict[str, dict[str, Any]]) -> None:
        self._root = root
        self._names = names
        self._levels: dict[int, int] = {}
        self._inner: dict[int, list[dict[str, Any]]] = {}

    def levels(self, node: dict[str, Any], left: int) -> int:
        """Return the levels; without an end, more than are left."""
        if left < 0:
            return MOST_LEVELS + 1
        levels = self._levels.get(id(node))
        if levels is None:
            deepest = 0
            for inner in self.inner(node):
                deepest = max(deepest, self.levels(inner, left - 1))
                if deepest > MOST_LEVELS:
                    break
            levels = self._levels[id(node)] = deepest + 1
        return levels

    def inner(self, node: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the schemas that a schema applies to the same value."""
        schemas = self._inner.get(id(node))
        if schemas is None:
            schemas = self._inner[id(node)] = [*_inline(node), *self.targets(node)]
        return schemas

    def targets(self, node: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the schemas that a schema refers to."""
        references = (node.get(key) for key in _REFERENCES)
        targets = (
            _resolved(reference, self._root, self._names) for reference in references if isinstance(reference, str)
        )
        return [schema for schema in targets if isinstance(schema, dict)]


def _visits(root: dict[str, Any], applied: _Applied) -> int:
    """Return how many schemas are applied to one value at most, at any depth of the body."""
    order, again = _order(root, applied)
    own: dict[int, int] = {}
    below: dict[int, dict[str | int | None, int]] = {}
    most: dict[int, int] = {}
    for node in order:
        inner = applied.inner(node)
        times = REPEATED if inner and any(key in node for key in _UNEVALUATED) else 1
        visits, members = 1, dict[str | int | None, int]()
        for schema in inner:
            visits += times * (1 if id(schema) in again else own[id(schema)])
            for key, count in {} if id(schema) in again else below[id(schema)].items():
                members[key] = members.get(key, 0) + times * count
        for key, member in _members(node):
            members[key] = members.get(key, 0) + (1 if id(member) in again else most[id(member)])
        any_member = members.pop(None, 0)
        own[id(node)], below[id(node)] = visits, {**members, None: any_member}
        most[id(node)] = max(visits, any_member + max(members.values(), default=0))
    return max(most.values())


def _order(root: dict[str, Any], applied: _Applied) -> tuple[list[dict[str, Any]], set[int]]:
    """Return each schema after those that it applies, and the ids of those that are applied again within themselves."""
    order: list[dict[str, Any]] = []
    entered, left, again = {id(root)}, set[int](), set[int]()
    path = [(root, iter([*applied.inner(root), *(member for _, member in _members(root))]))]
    while path:
        node, further = path[-1]
        for schema in further:
            if id(schema) not in entered:
                entered.add(id(schema))
                path.append((schema, iter([*applied.inner(schema), *(member for _, member in _members(schema))])))
                break
            if id(schema) not in left:
                again.add(id(schema))
        else:
            left.add(id(node))
            order.append(node)
            path.pop()
    return order, again


def _members(node: dict[str, Any]) -> Iterator[tuple[str | int | None, dict[str, Any]]]:
    """Yield the schemas that a schema applies to members of the value, with the member's name or index; None is any."""
    properties = node.get("properties")
    members: list[tuple[str | int | None, Any]] = list(properties.items()) if isinstance(properties, dict) else []
    patterns = node.get("patternProperties")
    members += [(None, schema) for schema in patterns.values()] if isinstance(patterns, dict) else []
    for name in _LISTED_MEMBERS:
        listed = node.get(name)
        members += enumerate(listed) if isinstance(listed, list) else []
    members += [(None, node.get(name)) for name in _ANY_MEMBER]
    yield from ((key, schema) for key, schema in members if isinstance(schema, dict))


def _too_much_to_compile(root: dict[str, Any], applied: _Applied) -> bool:
    """Return whether the library would compile more than `MOST_COMPILED` schemas."""
    visited = {id(root)}
    # A schema to compile, and if only for what it evaluates, the ids of those around that are compiled for the same.
    waiting: list[tuple[dict[str, Any], frozenset[int] | None]] = [(root, None)]
    for _ in range(MOST_COMPILED):
        if not waiting:
            return False
        node, around = waiting.pop()
        inner, targets = _inline(node), applied.targets(node)
        waiting += [(schema, None) for schema in inner]
        if around is None:
            waiting += [(member, None) for _, member in _members(node)]
            waiting += [(schema, None) for schema in targets if id(schema) not in visited]
            visited |= {id(schema) for schema in targets}
            if any(key in node for key in _UNEVALUATED):
                waiting.append((node, frozenset()))
        else:
            around |= {id(node)}
            waiting += [(node[key], None) for key in _ANY_MEMBER if isinstance(node.get(key), dict)]
            waiting += [(schema, around) for schema in (*inner, *targets) if id(schema) not in around]
    return True


def _inline(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas within a schema that it applies to the same value."""
    schemas: list[Any] = []
    for key in _LISTS:
        listed = node.get(key)
        schemas += listed if isinstance(listed, list) else []
    schemas += [node.get(key) for key in _SCHEMAS]
    for key in _MAPS:
        mapped = node.get(key)
        schemas += mapped.values() if isinstance(mapped, dict) else []
    return [schema for schema in schemas if isinstance(schema, dict)]


def _resolved(reference: str, root: Any, names: dict[str, dict[str, Any]]) -> Any:
    """Return what a reference within the schema refers to; None for any other, which the library judges."""
    base, _, fragment = reference.partition("#")
    target: Any = names.get(base) if base else root
    if not fragment.startswith("/"):
        return names.get(f"#{fragment}") if fragment else target
    for part in unquote(fragment)[1:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(target, dict):
            target = target.get(key)
        elif isinstance(target, list) and key.isdecimal() and int(key) < len(target):
            target = target[int(key)]
        else:
            return None
    return target


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
