"""Bodies of multipart/form-data (RFC 7578), taken apart."""

from __future__ import annotations

import re

from atm.dataclass import dataclass

_BOUNDARY = re.compile(rb'boundary=(?:"([^"]{1,70})"|([^;,\s"]{1,70}))', re.IGNORECASE)
_PARAMETER = re.compile(rb'[;\s](name|filename)="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
PARTS_LIMIT = 1000


class MultipartError(ValueError):
    """The body is not multipart/form-data; the message says why."""


@dataclass(frozen=True, slots=True)
class BodyPart:
    """One part: a field, or a file if it has a file name."""

    name: str
    filename: str | None
    content_type: str | None
    content: bytes


def parts(content_type: bytes, body: bytes) -> list[BodyPart]:
    """Return the parts of a body. Raises MultipartError."""
    kind, _, parameters = content_type.partition(b";")
    if kind.strip().lower() != b"multipart/form-data":
        raise MultipartError("the content type is not multipart/form-data")
    match = _BOUNDARY.search(parameters)
    if match is None:
        raise MultipartError("the content type has no boundary")
    delimiter = b"\r\n--" + (match[1] or match[2])
    pieces = (b"\r\n" + body).split(delimiter)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise MultipartError("the last boundary is missing")
    if len(pieces) - 2 > PARTS_LIMIT:
        raise MultipartError(f"the body has more than {PARTS_LIMIT} parts")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> BodyPart:
    start, _, rest = piece.partition(b"\r\n")
    head, separator, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if start.strip(b" \t") or not separator:
        raise MultipartError("a part has no empty line after its headers")
    fields: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        fields[name.strip().lower()] = value.strip()
    names = {
        name.lower(): re.sub(rb"\\(.)", rb"\1", value)
        for name, value in _PARAMETER.findall(fields.get(b"content-disposition", b""))
    }
    if b"name" not in names:
        raise MultipartError("a part has no name")
    filename, kind = names.get(b"filename"), fields.get(b"content-type")
    return BodyPart(
        names[b"name"].decode("utf-8", "replace"),
        None if filename is None else filename.decode("utf-8", "replace"),
        None if kind is None else kind.decode("latin-1"),
        content,
    )
