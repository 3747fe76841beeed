"""Evaluate JSONPath queries (RFC 9535) that `jsonpath_rfc9535` has parsed and checked.

The library's own evaluation is not used: it builds an object with a location for each node, compares true with 1 in
arrays, finds no node for `@` if that is 0, and mistakes the current node for `$` in a filter within a filter.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from atm.plan.json_values import equal, order
from atm.plan.patterns import PatternError
from atm.plan.patterns import compiled as compiled_pattern

Select = Callable[[Any, Any], Iterator[Any]]
"""Returns the values of the nodes that a query selects, starting at (a value, the whole document), in order."""

_Segment = Callable[[Iterable[Any], Any], Iterator[Any]]
_Test = Callable[[Any, Any], bool]
_Term = Callable[[Any, Any], Any]

_NOTHING = object()
_LEAST_INTEGER = -(2**63)
_GREATEST_INTEGER = 2**64 - 1
_OUT_OF_RANGE = "a number is out of range"
_INTEGER = re.compile(r"-?[0-9]+")
_DOT = re.compile(r"(\\.|\[(?:[^\]\\]|\\.)*\])|\.", re.DOTALL)


class QueryError(ValueError):
    """A query that the library accepts, but RFC 9535 does not."""


@functools.cache
def _library() -> Any:
    # Imported here because few specs have such a query.
    import jsonpath_rfc9535

    return jsonpath_rfc9535.JSONPathEnvironment()


def parsed(path: str) -> Select:
    """Parse a query. Raises QueryError if it is not valid."""
    from jsonpath_rfc9535 import JSONPathError

    try:
        query = _library().compile(path)
    except JSONPathError as error:
        raise QueryError(str(error)) from None
    except RecursionError:
        raise QueryError("it is nested too deeply") from None
    except OverflowError:
        # The library converts integers by way of doubles.
        raise QueryError(_OUT_OF_RANGE) from None
    except (ValueError, IndexError) as error:
        raise QueryError(str(error)) from None
    return _select_of(query)


def _select_of(query: Any) -> Select:
    segments = tuple(_segment_of(segment) for segment in query.segments)

    def select(node: Any, root: Any) -> Iterator[Any]:
        nodes: Iterable[Any] = (node,)
        for segment in segments:
            nodes = segment(nodes, root)
        return iter(nodes)

    return select


def _segment_of(segment: Any) -> _Segment:
    from jsonpath_rfc9535.segments import JSONPathRecursiveDescentSegment

    selectors = tuple(_selector_of(selector) for selector in segment.selectors)
    descends = isinstance(segment, JSONPathRecursiveDescentSegment)

    def select(nodes: Iterable[Any], root: Any) -> Iterator[Any]:
        for node in nodes:
            for parent in _descendants(node) if descends else (node,):
                for selector in selectors:
                    yield from selector(parent, root)

    return select


def _descendants(node: Any) -> Iterator[Any]:
    """Yield a node and all arrays and objects below it, each before those below it."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        children = node.values() if type(node) is dict else node if type(node) is list else ()
        waiting.extend([child for child in children if type(child) is dict or type(child) is list][::-1])


def _selector_of(selector: Any) -> Select:
    from jsonpath_rfc9535.selectors import FilterSelector, IndexSelector, NameSelector, SliceSelector

    if isinstance(selector, NameSelector):
        return _name_of(selector.name)
    if isinstance(selector, IndexSelector):
        return _index_of(selector.index)
    if isinstance(selector, SliceSelector):
        return _slice_of(selector.slice)
    if isinstance(selector, FilterSelector):
        return _filter_of(_test_of(selector.expression.expression))
    return lambda node, _root: iter(_children(node))


def _children(node: Any) -> Iterable[Any]:
    if type(node) is dict:
        return node.values()
    return node if type(node) is list else ()


def _name_of(name: str) -> Select:
    def select(node: Any, _root: Any) -> Iterator[Any]:
        if type(node) is dict and name in node:
            yield node[name]

    return select


def _index_of(index: int) -> Select:
    def select(node: Any, _root: Any) -> Iterator[Any]:
        if type(node) is list and -len(node) <= index < len(node):
            yield node[index]

    return select


def _slice_of(part: slice) -> Select:
    if part.step == 0:
        return lambda _node, _root: iter(())
    return lambda node, _root: iter(node[part]) if type(node) is list else iter(())


def _filter_of(test: _Test) -> Select:
    def select(node: Any, root: Any) -> Iterator[Any]:
        for child in _children(node):
            if test(child, root):
                yield child

    return select


def _test_of(expression: Any) -> _Test:
    """Return the function of a logical expression, of (the current node, the document)."""
    from jsonpath_rfc9535 import filter_expressions as kinds

    if isinstance(expression, kinds.FilterExpression):
        return _test_of(expression.expression)
    if isinstance(expression, kinds.LogicalExpression):
        left, right = _test_of(expression.left), _test_of(expression.right)
        if expression.operator == "&&":
            return lambda node, root: left(node, root) and right(node, root)
        return lambda node, root: left(node, root) or right(node, root)
    if isinstance(expression, kinds.PrefixExpression):
        part = _test_of(expression.right)
        return lambda node, root: not part(node, root)
    if isinstance(expression, kinds.ComparisonExpression):
        return _comparison_of(expression)
    if isinstance(expression, kinds.FilterQuery):
        first = _first_of(expression)
        return lambda node, root: first(node, root) is not _NOTHING
    if isinstance(expression, kinds.FunctionExtension):
        return _pattern_test_of(expression)
    raise QueryError(f"{expression} is not a condition; compare it with something")


def _comparison_of(comparison: Any) -> _Test:
    left, right, operator = _term_of(comparison.left), _term_of(comparison.right), comparison.operator
    if operator == "==":
        return lambda node, root: _is_equal(_compared(left(node, root)), _compared(right(node, root)))
    if operator == "!=":
        return lambda node, root: not _is_equal(_compared(left(node, root)), _compared(right(node, root)))
    sign, or_equal = (-1 if operator[0] == "<" else 1), operator.endswith("=")

    def test(node: Any, root: Any) -> bool:
        value, other = _compared(left(node, root)), _compared(right(node, root))
        return order(value, other) == sign or (or_equal and _is_equal(value, other))

    return test


def _compared(value: Any) -> Any:
    """Return what a filter compares: numbers as doubles, as the native engine's library does."""
    return float(value) if type(value) is int else value


def _is_equal(value: Any, other: Any) -> bool:
    if value is _NOTHING or other is _NOTHING:
        return value is other
    return equal(value, other)


def _term_of(term: Any) -> _Term:
    """Return the function of what can be compared: a literal, a query of one node, a function."""
    from jsonpath_rfc9535 import filter_expressions as kinds

    if isinstance(term, kinds.FilterExpressionLiteral):
        value = _literal(term)
        return lambda _node, _root: value
    if isinstance(term, kinds.FilterQuery):
        return _first_of(term)
    if term.name == "length":
        value_of = _term_of(term.args[0])
        return lambda node, root: _length(value_of(node, root))
    nodes = _query_of(term.args[0])
    if term.name == "count":
        return lambda node, root: sum(1 for _ in nodes(node, root))
    return lambda node, root: _only(nodes(node, root))


def _literal(literal: Any) -> Any:
    value = literal.value
    if type(value) is int and _INTEGER.fullmatch(literal.token.value):
        # The library's value has the precision of a double.
        value = int(literal.token.value)
        if not _LEAST_INTEGER <= value <= _GREATEST_INTEGER:
            value = float(value)
    if type(value) is float and math.isinf(value):
        raise QueryError(_OUT_OF_RANGE)
    return value


def _query_of(query: Any) -> Select:
    from jsonpath_rfc9535.filter_expressions import RootFilterQuery

    select = _select_of(query.query)
    if isinstance(query, RootFilterQuery):
        return lambda _node, root: select(root, root)
    return select


def _first_of(query: Any) -> _Term:
    select = _query_of(query)
    return lambda node, root: next(select(node, root), _NOTHING)


def _only(nodes: Iterator[Any]) -> Any:
    first = next(nodes, _NOTHING)
    return first if next(nodes, _NOTHING) is _NOTHING else _NOTHING


def _length(value: Any) -> Any:
    return len(value) if type(value) in (str, list, dict) else _NOTHING


def _pattern_test_of(function: Any) -> _Test:
    value_of, pattern_of = (_term_of(argument) for argument in function.args)
    is_whole = function.name == "match"

    def test(node: Any, root: Any) -> bool:
        value, pattern = value_of(node, root), pattern_of(node, root)
        if type(value) is not str or type(pattern) is not str:
            return False
        expression = _expression(pattern)
        if expression is None:
            return False
        return bool(expression.fullmatch(value) if is_whole else expression.search(value))

    return test


@functools.lru_cache(maxsize=100)
def _expression(pattern: str) -> Any:
    """Compile an I-Regexp (RFC 9485), in which a dot is neither a line feed nor a carriage return; None if invalid."""
    try:
        return compiled_pattern(_DOT.sub(lambda match: match[1] or r"[^\n\r]", pattern))
    except PatternError:
        return None
