"""A full response as conditions and extracts see it: each part is parsed at most once, and only if it is read."""

from __future__ import annotations

from functools import cached_property

from atm.engine.asyncio_engine.responses import (
    CHECKED_BYTES,
    DecodingError,
    ResponseHead,
    decoded_whole,
    is_invalid_utf8,
    response_head,
    text_of,
)
from atm.engine.asyncio_engine.scenario.json_text import NotJsonError, read_json
from atm.engine.asyncio_engine.scenario.value import UNSET, Value


class Answer:
    """A full response."""

    def __init__(self, *, status: int, time_ns: int, size: int, raw: bytes, body: bytes) -> None:
        """`size` is the length of the whole body in bytes, `body` what was kept of it; `raw` begins with the head."""
        self.status = status
        self.time_ns = time_ns
        self.size = size
        self._raw = raw
        self._body = body

    @cached_property
    def head(self) -> ResponseHead:
        """The last head."""
        return response_head(self._raw)

    @cached_property
    def text(self) -> str | None:
        """The decoded body; None if it is longer than `CHECKED_BYTES` or cannot be decoded."""
        content = self._content
        return None if content is None else text_of(content, self.head.get("content-type"))

    @cached_property
    def utf8(self) -> bytes | None:
        """The text in UTF-8."""
        return None if self.text is None else self.text.encode(errors="replace")

    @cached_property
    def document(self) -> Value:
        """The JSON value that the body is; UNSET if it is not JSON."""
        content, text = self._content, self.text
        if content is None or text is None:
            return UNSET
        if "\ufffd" in text and is_invalid_utf8(content, self.head.get("content-type")):
            return UNSET
        try:
            return read_json(text)
        except NotJsonError:
            return UNSET

    @cached_property
    def _content(self) -> bytes | None:
        if self.size > CHECKED_BYTES or len(self._body) < self.size:
            return None
        try:
            encoding = self.head.get("content-encoding")
            content = decoded_whole(self._body, encoding, CHECKED_BYTES + 1, is_whole=True)
        except DecodingError:
            return None
        return content if len(content) <= CHECKED_BYTES else None
