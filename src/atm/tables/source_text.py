"""Text of a user's file, decoded from UTF-8 in bounded memory, with the line and column of a bad byte."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from atm.errors import DataError, Problem
from atm.tables.table_file import MOST_ROW_BYTES

_CHUNK = 1 << 20


def decoded_lines(file: BinaryIO, name: str) -> Iterator[str]:
    """Yield the lines of a file, with their ends, without a byte order mark."""
    for number, line in enumerate(iter(partial(file.readline, MOST_ROW_BYTES + 1), b""), 1):
        if len(line) > MOST_ROW_BYTES:
            what = f"the line has more than {MOST_ROW_BYTES >> 20} MiB"
            raise DataError(Problem(what, "data_limit", place=f"{name}:{number}"))
        try:
            yield (line if number > 1 else line.removeprefix(codecs.BOM_UTF8)).decode()
        except UnicodeDecodeError as error:
            column = len(line[: error.start].decode(errors="replace")) + 1
            raise not_utf8(line[error.start], f"{name}:{number}:{column}", line if number == 1 else b"") from None


def decoded_chunks(file: BinaryIO, name: str) -> Iterator[str]:
    """Yield the text of a file in pieces, without a byte order mark."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, column, is_first = 1, 1, True
    while True:
        raw = file.read(_CHUNK)
        start = raw
        if is_first:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        try:
            text = decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            line, column = position_after(error.object[: error.start].decode(errors="replace"), line, column)
            bad = error.object[error.start]
            raise not_utf8(bad, f"{name}:{line}:{column}", start if is_first else b"") from None
        if not raw:
            return
        is_first = False
        line, column = position_after(text, line, column)
        yield text


def position_after(text: str, line: int, column: int) -> tuple[int, int]:
    """Return line and column after a text that begins at the given ones; all from 1."""
    breaks = text.count("\n")
    if breaks:
        return line + breaks, len(text) - text.rindex("\n")
    return line, column + len(text)


def not_utf8(byte: int, place: str, start: bytes) -> DataError:
    """Return the error of a byte that is not UTF-8; `start` is the start of the file, if it is known."""
    encoding = "utf-16" if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "latin-1"
    file = place.rsplit(":", 2)[0]
    hint = f"Convert it: `iconv -f {encoding} -t utf-8 {file}`"
    return DataError(Problem(f"the file is not UTF-8: byte 0x{byte:02x}", "not_utf8", place=place, hint=hint))
