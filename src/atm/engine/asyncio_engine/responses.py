"""Parse responses as text for redirects, checks and samples: head, chunked body, compressed body.

llhttp does the framing; these functions read heads that it has accepted, and show malformed ones unchanged.
"""

from __future__ import annotations

import codecs
import re
import zlib

from atm.dataclass import dataclass

CHECKED_BYTES = 4 * 1024 * 1024
"""Bytes of a (decoded) body that checks see; the rest is only read and counted."""

_GZIP_BITS = 31
_NOT_DECODED = "body could not be decoded as {}"
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CHARSET = re.compile(r"""(?i);\s*charset\s*=\s*(?:"([^"]*)"|([^\s;"]+))""")
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_WEB_CHARSETS = {
    **dict.fromkeys(("iso-8859-1", "iso8859-1", "latin1", "l1", "us-ascii", "ascii", "windows-1252"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk", "gb_2312-80", "chinese", "x-gbk"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "ms_kanji", "windows-31j"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "korean", "windows-949"), "cp949"),
    **dict.fromkeys(("iso-8859-9", "latin5", "windows-1254"), "cp1254"),
    **dict.fromkeys(("iso-8859-11", "tis-620", "windows-874"), "cp874"),
    **dict.fromkeys(("utf-16", "utf-16le", "unicode", "ucs-2"), "utf-16-le"),
    **dict.fromkeys(("big5", "big5-hkscs", "x-x-big5"), "big5hkscs"),
}
"""Charset labels that mean something else on the web (WHATWG Encoding Standard) than in Python."""

_SPACE = " \t\r"
_END = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(rb"[ \t]*\r?\n[ \t]+")
_SET_COOKIE = re.compile(rb"(?i)\nset-cookie[ \t]*:")
_CONTENT_ENCODING = re.compile(rb"(?i)\ncontent-encoding[ \t]*:")


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The last head in the bytes of a response (after any 1xx), and the offset of its body."""

    status_line: str
    headers: tuple[tuple[str, str], ...]
    body_at: int

    def get(self, name: str) -> str | None:
        """Return the first value of a header, by its lower-case name."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    def all(self, name: str) -> list[str]:
        """Return every value of a header, by its lower-case name."""
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def keeps_alive(self) -> bool:
        """Whether its connection stays open, for one without a body, whose missing length says nothing about that."""
        options = {option.strip().lower() for value in self.all("connection") for option in value.split(",")}
        return "close" not in options and (self.status_line.startswith("HTTP/1.1") or "keep-alive" in options)

    @property
    def is_chunked(self) -> bool:
        return (self.get("transfer-encoding") or "").lower().endswith("chunked")

    @property
    def ends_with_connection(self) -> bool:
        """True if only closing the connection ends the body (RFC 9112, section 6.3, rule 8)."""
        return not self.is_chunked and (self.get("content-length") is None or self.get("transfer-encoding") is not None)


def response_head(raw: bytes) -> ResponseHead:
    """Parse the head of a response; missing parts (of a malformed response) are left empty."""
    at = len(raw) - len(raw.lstrip(b"\r\n"))
    while True:
        end = _END.search(raw, at)
        head = _FOLD.sub(b" ", raw[at : end.start() if end else len(raw)])
        lines = [line.removesuffix("\r") for line in head.decode("latin-1").split("\n")]
        if end and re.match(r"HTTP/1\.\d 1\d\d\b", lines[0] if lines else ""):
            at = end.end()
            continue
        headers = [line.partition(":") for line in lines[1:]]
        return ResponseHead(
            lines[0] if lines else "",
            tuple((name.strip(_SPACE), value.strip(_SPACE)) for name, _, value in headers),
            end.end() if end else len(raw),
        )


def dechunked(raw: bytes) -> bytes:
    """Return the content of a possibly truncated chunked body, up to the first malformed chunk."""
    content = bytearray()
    at = 0
    while True:
        line_end = raw.find(b"\r\n", at)
        if line_end < 0:
            return bytes(content)
        size_text = raw[at:line_end].partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", size_text):
            return bytes(content)
        size = int(size_text, 16)
        if size == 0:
            return bytes(content)
        content += raw[line_end + 2 : line_end + 2 + size]
        at = line_end + 2 + size + 2


class DecodingError(ValueError):
    """A body does not match its Content-Encoding; the text is the failure message."""


def sets_cookie(raw: bytes) -> bool:
    """Return whether a response may have a Set-Cookie line: that is so if its head has one."""
    return _SET_COOKIE.search(raw) is not None


def is_encoded(raw: bytes) -> bool:
    """Return whether a response may have a Content-Encoding: that is so if its head has one."""
    return _CONTENT_ENCODING.search(raw) is not None


def decoded(body: bytes, content_encoding: str | None, limit: int) -> bytes:
    """Decode as much of `body` as possible, at most `limit` bytes; return it unchanged if it cannot be decoded."""
    try:
        return decoded_whole(body, content_encoding, limit, is_whole=False)
    except DecodingError:
        return body[:limit]


def decoded_whole(body: bytes, content_encoding: str | None, limit: int, *, is_whole: bool) -> bytes:
    """Return `body` decoded, at most `limit` bytes; unchanged if the encoding is unknown.

    `is_whole`: no part of the body is missing. Raises DecodingError if the body does not match its encoding, or (only
    if it is whole) ends prematurely.
    """
    encoding = (content_encoding or "").strip().lower()
    if not body:
        return b""
    if encoding in ("gzip", "x-gzip"):
        return _gunzipped(body, limit, is_whole=is_whole)
    if encoding == "deflate":
        try:
            return _inflated(body, zlib.MAX_WBITS, limit, is_whole=is_whole)[0]
        except DecodingError:
            # Some servers send deflate without its zlib wrapper.
            return _inflated(body, -zlib.MAX_WBITS, limit, is_whole=is_whole)[0]
    return body[:limit]


def _gunzipped(body: bytes, limit: int, *, is_whole: bool) -> bytes:
    """Decompress all members (RFC 1952, section 2.2); trailing data that is not a member is ignored."""
    text = bytearray()
    while True:
        member, rest = _inflated(body, _GZIP_BITS, limit - len(text), is_whole=is_whole)
        text += member
        if len(text) >= limit or not rest.startswith(b"\x1f\x8b"):
            return bytes(text)
        body = rest


def _inflated(body: bytes, window_bits: int, limit: int, *, is_whole: bool) -> tuple[bytes, bytes]:
    """Return the decompressed data, at most `limit` bytes, and the data after the end of the stream."""
    decoder = zlib.decompressobj(window_bits)
    try:
        text = decoder.decompress(body, limit)
    except zlib.error:
        raise DecodingError(_NOT_DECODED.format("gzip" if window_bits == _GZIP_BITS else "deflate")) from None
    if is_whole and not decoder.eof and len(text) < limit:
        raise DecodingError(_NOT_DECODED.format("gzip" if window_bits == _GZIP_BITS else "deflate"))
    return text, decoder.unused_data


def text_of(body: bytes, content_type: str | None) -> str:
    """Return a decoded body as text: UTF-8 unless its Content-Type declares a charset; invalid bytes are replaced.

    Labels have the meaning of the WHATWG Encoding Standard, and a byte order mark overrides them.
    """
    charset, start = _charset(body, content_type)
    try:
        return body[start:].decode(charset, errors="replace")
    except (LookupError, ValueError):
        return body.decode(errors="replace")


def is_invalid_utf8(body: bytes, content_type: str | None) -> bool:
    """Return whether `text_of` reads the body as UTF-8 and had to replace bytes."""
    charset, start = _charset(body, content_type)
    try:
        if codecs.lookup(charset).name != "utf-8":
            return False
    except (LookupError, ValueError):
        # `text_of` reads it as UTF-8.
        start = 0
    try:
        body[start:].decode()
    except UnicodeDecodeError:
        return True
    return False


def _charset(body: bytes, content_type: str | None) -> tuple[str, int]:
    """Return the charset of a body, possibly one that Python does not know, and the length of its byte order mark."""
    for mark, charset in _MARKS:
        if body.startswith(mark):
            return charset, len(mark)
    label = _CHARSET.search(content_type) if content_type else None
    name = (label[1] or label[2]).strip().lower() if label else "utf-8"
    return _WEB_CHARSETS.get(name, name), 0


def bad_header(raw: bytes) -> str:
    """Describe the first header line that a client must not accept; empty if there is none."""
    lines = re.split(rb"\r?\n", raw.lstrip(b"\r\n"))
    for line in lines[1:]:
        if not line:
            return ""
        name, colon, value = line.partition(b":")
        if not line.startswith((b" ", b"\t")) and not (colon and _TOKEN.fullmatch(name)):
            return f'bad header name "{_shown(name)}"'
        if _CONTROL.search(value):
            return f'bad value of header "{_shown(name)}"'
    return ""


def _shown(name: bytes) -> str:
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in name[:40].rstrip())
    return text + ("…" if len(name) > 40 else "")
