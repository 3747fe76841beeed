"""A small part of GraphQL: queries of `product(id:)` and `products(first:)`, with variables and aliases.

    type Query {
      product(id: ID!): Product
      products(first: Int = 10): [Product!]!
    }
    type Product { id: ID!  name: String!  price: Float!  stock: Int! }

Fragments, directives, mutations and subscriptions are errors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from atm.dataclass import dataclass
from atm.testing.target_server.shop.catalogue import Catalogue, Product

_TOKEN = re.compile(
    r"(?P<skip>[\s,\ufeff]+|\#[^\n\r]*)|(?P<name>[A-Za-z_]\w*)|(?P<number>-?\d{1,15}(?:\.\d{1,15})?)"
    r'|(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<mark>\.\.\.|[{}()\[\]:$!=@|])',
    re.ASCII,
)
_FIELDS = ("id", "name", "price", "stock", "__typename")
_MOST_PRODUCTS = 100
_MOST_DEPTH = 10


class GraphqlError(ValueError):
    """The query is outside of what the shop answers; the message says why."""


@dataclass(slots=True)
class _Field:
    name: str
    alias: str
    arguments: dict[str, Any] = field(default_factory=dict)
    fields: list[_Field] = field(default_factory=list)


def answer(catalogue: Catalogue, request: object) -> dict[str, Any]:
    """Return the response document of a request: `data`, or `errors` beside a `data` of null."""
    try:
        if not isinstance(request, Mapping) or not isinstance(request.get("query"), str):
            raise GraphqlError("the request has no query")
        variables = request.get("variables") or {}
        if not isinstance(variables, Mapping):
            raise GraphqlError("variables is not an object")
        selection = _Parser(request["query"], variables, request.get("operationName")).selection()
        return {"data": {entry.alias: _root(catalogue, entry) for entry in selection}}
    except GraphqlError as error:
        return {"errors": [{"message": str(error)}], "data": None}


def _root(catalogue: Catalogue, entry: _Field) -> Any:
    if entry.name == "__typename":
        return "Query"
    if entry.name == "product":
        number = _whole(entry, "id", None, 1 << 53)
        product = catalogue.product(number)
        return None if product is None else _selected(product, entry)
    if entry.name == "products":
        first = _whole(entry, "first", 10, _MOST_PRODUCTS)
        return [_selected(product, entry) for product in catalogue.products[:first]]
    raise GraphqlError(f'Cannot query field "{entry.name}" on type "Query".')


def _whole(entry: _Field, name: str, default: int | None, most: int) -> int:
    others = [argument for argument in entry.arguments if argument != name]
    if others:
        raise GraphqlError(f'Unknown argument "{others[0]}" on field "Query.{entry.name}".')
    value = entry.arguments.get(name, default)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise GraphqlError(f'Argument "{name}" of "Query.{entry.name}" must be a whole number from 0 to {most}.')
    return value


def _selected(product: Product, entry: _Field) -> dict[str, Any]:
    if not entry.fields:
        raise GraphqlError(f'Field "{entry.name}" must have a selection of subfields.')
    document = {**product.document(), "id": str(product.number), "__typename": "Product"}
    selected: dict[str, Any] = {}
    for inner in entry.fields:
        if inner.name not in _FIELDS:
            raise GraphqlError(f'Cannot query field "{inner.name}" on type "Product".')
        if inner.fields or inner.arguments:
            raise GraphqlError(f'Field "{inner.name}" has no arguments and no subfields.')
        selected[inner.alias] = document[inner.name]
    return selected


class _Parser:
    """Reads a document with one or more queries, and selects the operation."""

    def __init__(self, text: str, variables: Mapping[str, Any], operation: object) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._variables = dict(variables)
        self._operation = operation

    def selection(self) -> list[_Field]:
        operations: list[tuple[str | None, list[_Field]]] = []
        while self._peek() != "":
            operations.append(self._query())
        chosen = [fields for name, fields in operations if self._operation in (None, "", name)]
        if not chosen:
            raise GraphqlError(f'Unknown operation named "{self._operation}".' if operations else "Syntax Error: empty")
        if len(chosen) > 1:
            raise GraphqlError("Must provide operation name if query contains multiple operations.")
        return chosen[0]

    def _query(self) -> tuple[str | None, list[_Field]]:
        name: str | None = None
        if self._peek() != "{":
            kind = self._next()
            if kind != "query":
                raise GraphqlError(f'Only queries are supported, found "{kind}".')
            if self._peek() not in ("{", "("):
                name = self._name()
            if self._peek() == "(":
                self._variable_definitions()
        return name, self._fields(1)

    def _variable_definitions(self) -> None:
        self._expect("(")
        while self._peek() != ")":
            self._expect("$")
            name = self._name()
            self._expect(":")
            self._type()
            if self._peek() == "=":
                self._next()
                self._variables.setdefault(name, self._value())
        self._next()

    def _type(self) -> None:
        if self._peek() == "[":
            self._next()
            self._name()
            if self._peek() == "!":
                self._next()
            self._expect("]")
        else:
            self._name()
        if self._peek() == "!":
            self._next()

    def _fields(self, depth: int) -> list[_Field]:
        if depth > _MOST_DEPTH:
            raise GraphqlError("The query is nested too deeply.")
        self._expect("{")
        fields: list[_Field] = []
        while self._peek() != "}":
            if self._peek() == "...":
                raise GraphqlError("Fragments are not supported.")
            name = alias = self._name()
            if self._peek() == ":":
                self._next()
                name = self._name()
            entry = _Field(name, alias)
            if self._peek() == "(":
                self._next()
                while self._peek() != ")":
                    argument = self._name()
                    self._expect(":")
                    entry.arguments[argument] = self._value()
                self._next()
            if self._peek() == "{":
                entry.fields = self._fields(depth + 1)
            fields.append(entry)
        self._next()
        return fields

    def _value(self) -> Any:
        token = self._next()
        if token == "$":
            name = self._name()
            if name not in self._variables:
                raise GraphqlError(f'Variable "${name}" is not provided.')
            return self._variables[name]
        if token.startswith('"'):
            try:
                return json.loads(token)
            except ValueError as cause:
                raise GraphqlError(f"Syntax Error: invalid string {token}") from cause
        if token[:1].isdigit() or token[:1] == "-":
            return float(token) if "." in token else int(token)
        if token in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[token]
        raise GraphqlError(f'Syntax Error: unexpected "{token}"')

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        if not token:
            raise GraphqlError("Syntax Error: unexpected end of the query")
        self._at += 1
        return token

    def _name(self) -> str:
        token = self._next()
        if not token.isidentifier():
            raise GraphqlError(f'Syntax Error: expected a name, found "{token}"')
        return token

    def _expect(self, mark: str) -> None:
        token = self._next()
        if token != mark:
            raise GraphqlError(f'Syntax Error: expected "{mark}", found "{token}"')


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise GraphqlError(f'Syntax Error: unexpected character "{text[at]}"')
        at = match.end()
        if match.lastgroup != "skip":
            tokens.append(match[0])
    return tokens
