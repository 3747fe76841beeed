"""Parse untrusted JSON within limits: depth, size, numbers that a database and a float can hold, valid Unicode."""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAXIMUM_DEPTH = 64
MAXIMUM_CONTAINERS = 100_000
"""Most objects and lists, each of which takes fifty times its two bytes in memory."""
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"')
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class JsonBoundsError(ValueError):
    """JSON beyond the limits; `code` names the limit."""

    def __init__(self, what: str, code: str) -> None:
        super().__init__(what)
        self.code = code


def load_bounded(data: bytes, *, largest: int | None = None) -> Any:
    """Parse the document. Raises JsonBoundsError, and ValueError for invalid JSON.

    `largest` limits the absolute value of integers; without it they may have 400 digits.
    """

    def integer(text: str) -> int:
        if len(text) > 400:
            raise JsonBoundsError(f"a number of {len(text)} digits is too large", "number_out_of_range")
        value = int(text)
        if largest is not None and abs(value) > largest:
            raise JsonBoundsError(f"the number {text[:40]} is too large", "number_out_of_range")
        return value

    if data.count(b"[") + data.count(b"{") > MAXIMUM_CONTAINERS:
        outside = _STRING.sub(b"", data)
        if outside.count(b"[") + outside.count(b"{") > MAXIMUM_CONTAINERS:
            raise JsonBoundsError(f"it contains more than {MAXIMUM_CONTAINERS:,} objects and lists", "too_many_values")
    try:
        document = json.loads(data, parse_float=_number, parse_int=integer, parse_constant=_constant)
    except RecursionError:
        raise _too_deep() from None
    if _is_deeper(document, MAXIMUM_DEPTH):
        raise _too_deep()
    if _SURROGATE.search(data) and not _is_unicode(document):
        raise JsonBoundsError("a lone surrogate is not text", "not_unicode")
    return document


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise JsonBoundsError(f"the number {text[:40]} is too large", "number_out_of_range")
    return value


def _constant(text: str) -> Any:
    raise JsonBoundsError(f"{text} is not a JSON number", "number_out_of_range")


def _is_deeper(document: Any, most: int) -> bool:
    """Iterate level by level, without recursion."""
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(most):
        inner = (item for outer in level for item in (outer.values() if isinstance(outer, dict) else outer))
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _is_unicode(document: Any) -> bool:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_deep() -> JsonBoundsError:
    return JsonBoundsError(f"it is nested deeper than {MAXIMUM_DEPTH} levels", "too_deep")
