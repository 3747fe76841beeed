"""Reads the elements of a JSON array one by one, in bounded memory, each with its line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from atm.errors import DataError, Problem
from atm.tables.source_text import decoded_chunks, position_after
from atm.tables.table_file import MOST_ROW_BYTES

_SPACE = re.compile(r"[ \t\r\n]*")
_DROP_AT = 1 << 20


def decoder() -> json.JSONDecoder:
    """Return a decoder that refuses what JSON does not have: NaN, Infinity, numbers beyond doubles."""
    return json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


class JsonArray:
    """The elements of an array, each with its place: `accounts.json:12`. They must be objects."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._chunks = decoded_chunks(file, name)
        self._name = name
        self._text = ""
        self._at = 0
        self._line = 1
        self._column = 1
        """Of the start of `_text`."""

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        if self._peek() != "[":
            raise self._bad("the file must hold an array of objects: `[{…}, {…}]`")
        self._at += 1
        decode = decoder().raw_decode
        is_first = True
        while self._peek() != "]":
            if not is_first:
                if self._peek() != ",":
                    raise self._bad("a comma or ] is missing here")
                self._at += 1
                self._peek()
            if self._peek() != "{":
                raise self._bad("a row must be an object")
            place = f"{self._name}:{self._here(self._at)[0]}"
            yield place, self._element(decode)
            is_first = False
        self._at += 1
        if self._peek():
            raise self._bad("text after the end of the array")

    def _element(self, decode: Any) -> Any:
        while True:
            try:
                value, end = decode(self._text, self._at)
            except json.JSONDecodeError as error:
                # It may be incomplete; with the same text again, the error stays.
                if len(self._text) - self._at <= MOST_ROW_BYTES and self._fill():
                    continue
                self._at = min(error.pos, len(self._text))
                raise self._bad(f"invalid JSON: {error.msg.lower()}") from None
            except (ValueError, RecursionError) as error:
                raise self._bad(f"invalid JSON: {error}") from None
            self._at = end
            if end > _DROP_AT:
                self._line, self._column = self._here(end)
                self._text, self._at = self._text[end:], 0
            return value

    def _peek(self) -> str:
        """Skip white space, and return the next character; empty at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill():
                return ""

    def _fill(self) -> bool:
        """Append the next piece of the file; False at its end."""
        piece = next(self._chunks, "")
        self._text += piece
        return bool(piece)

    def _here(self, at: int) -> tuple[int, int]:
        return position_after(self._text[:at], self._line, self._column)

    def _bad(self, what: str) -> DataError:
        line, column = self._here(self._at)
        return DataError(Problem(what, "bad_json", place=f"{self._name}:{line}:{column}"))
