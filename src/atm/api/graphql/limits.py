"""Limits of an operation, checked before it is validated and executed: depth, aliases, fields and cost.

The cost of an operation is the number of queries that it may cause: 1 for each field that reads the storage, more for
figures that are merged from intervals, times the number of entries of the lists above it. docs/guide/graphql.md lists
the limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)
from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from atm.api.graphql.fields import COST, PAGE
from atm.dataclass import dataclass

MOST_TOKENS = 2_000
MOST_DEPTH = 15
"""The introspection query of GraphiQL is 13 deep."""
MOST_ALIASES = 30
MOST_FIELDS = 1_000
MOST_COST = 2_000
MOST_PAGE = 200


class Limits(SchemaExtension):
    """Refuses an operation beyond a limit."""

    def on_operation(self) -> Iterator[None]:
        """Limit the tokens that are parsed."""
        self.execution_context.parse_options["max_tokens"] = MOST_TOKENS
        yield

    def on_validate(self) -> Iterator[None]:
        """Measure the operation; one beyond a limit is not even validated."""
        context = self.execution_context
        errors = _excesses(context.schema._schema, context.graphql_document, context.operation_name, context.variables)
        if context.operation_type is OperationType.SUBSCRIPTION and context.context.connection.scope["type"] == "http":
            extensions = {"code": "subscription_needs_websocket", "status": 422}
            what = "a subscription needs a WebSocket, by the protocol graphql-transport-ws"
            errors.append(GraphQLError(what, extensions=extensions))
        if errors:
            context.pre_execution_errors = errors
        yield


@dataclass(slots=True)
class _Size:
    depth: int = 0
    aliases: int = 0
    fields: int = 0
    cost: int = 0

    def add(self, other: _Size, times: int = 1) -> None:
        self.depth = max(self.depth, other.depth)
        self.aliases += other.aliases
        self.fields += other.fields
        self.cost += other.cost * times


@dataclass(slots=True)
class _Measure:
    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]
    measured: dict[str, _Size] = field(default_factory=dict)
    """By name of the fragment: each is measured once, so that nested fragments cannot multiply the work."""

    def of(self, selection: SelectionSetNode | None, parent: GraphQLNamedType | None) -> _Size:
        size = _Size()
        for node in selection.selections if selection else ():
            if isinstance(node, FieldNode):
                size.add(self._of_field(node, parent))
            elif isinstance(node, InlineFragmentNode):
                name = node.type_condition.name.value if node.type_condition else None
                size.add(self.of(node.selection_set, self.schema.get_type(name) if name else parent))
            elif isinstance(node, FragmentSpreadNode):
                size.add(self._of_fragment(node.name.value))
        return size

    def _of_fragment(self, name: str) -> _Size:
        if name not in self.measured:
            # A fragment within itself counts nothing here, and is refused by the validation.
            self.measured[name] = _Size()
            fragment = self.fragments.get(name)
            if fragment is not None:
                condition = self.schema.get_type(fragment.type_condition.name.value)
                self.measured[name] = self.of(fragment.selection_set, condition)
        return self.measured[name]

    def _of_field(self, node: FieldNode, parent: GraphQLNamedType | None) -> _Size:
        declared = getattr(parent, "fields", {}).get(node.name.value)
        metadata = getattr((declared.extensions if declared else {}).get("strawberry-definition"), "metadata", {})
        inner = self.of(node.selection_set, get_named_type(declared.type) if declared else None)
        size = _Size(inner.depth + 1, 1 if node.alias else 0, 1, metadata.get(COST, 0))
        page = metadata.get(PAGE)
        times = self._entries(node, page) if page else 1
        size.add(inner, times)
        size.depth = inner.depth + 1
        return size

    def _entries(self, node: FieldNode, page: tuple[str, int]) -> int:
        value: Any = next((given.value for given in node.arguments or () if given.name.value == page[0]), None)
        if isinstance(value, IntValueNode):
            return _bounded(value.value)
        if isinstance(value, VariableNode) and isinstance(self.variables.get(value.name.value), int):
            return _bounded(self.variables[value.name.value])
        # A variable's own default is not looked up: the most counts, which only an operation at the limit notices.
        return MOST_PAGE if value is not None else page[1]


def _bounded(number: Any) -> int:
    text = str(number)
    return min(max(int(text), 1), MOST_PAGE) if len(text) < 10 else MOST_PAGE


def _excesses(
    schema: GraphQLSchema, document: DocumentNode, operation_name: str | None, variables: Mapping[str, Any] | None
) -> list[GraphQLError]:
    nodes = document.definitions
    fragments = {node.name.value: node for node in nodes if isinstance(node, FragmentDefinitionNode)}
    measure = _Measure(schema, fragments, variables or {})
    errors = []
    for node in nodes:
        if not isinstance(node, OperationDefinitionNode):
            continue
        if operation_name is not None and (node.name is None or node.name.value != operation_name):
            continue
        size = measure.of(node.selection_set, schema.get_root_type(node.operation))
        errors += [GraphQLError(what, node, extensions=extensions) for what, extensions in _beyond(size)]
    return errors


def _beyond(size: _Size) -> Iterator[tuple[str, dict[str, Any]]]:
    rows = (
        ("depth", size.depth, MOST_DEPTH, "query_too_deep", "ask for fewer levels"),
        ("number of aliases", size.aliases, MOST_ALIASES, "too_many_aliases", "send several operations"),
        ("number of fields", size.fields, MOST_FIELDS, "too_many_fields", "send several operations"),
        ("cost", size.cost, MOST_COST, "query_too_costly", "ask for fewer entries (`first`) or fewer figures of each"),
    )
    for name, actual, most, code, hint in rows:
        if actual > most:
            what = f"the {name} of the operation is {actual:,}; the limit is {most:,}"
            entry = {"message": what, "code": code, "path": "", "hint": hint}
            yield f"{what}: {hint}", {"code": code, "status": 422, "errors": [entry]}
