"""The body of a request: compressed for sending, and as a sample shows it."""

from __future__ import annotations

import zlib

from atm.plan.load_plan import Step
from atm.plan.template_parts import BytesPart

_GZIP = 16 + zlib.MAX_WBITS
_MAGIC = b"\x1f\x8b"
_MOST_SHOWN = 64 * 1024 * 1024


def compressed(body: bytes) -> bytes:
    """Compress with gzip (RFC 1952), without a name or a time, so that equal bodies stay equal."""
    return zlib.compress(body, wbits=_GZIP)


def readable_request(request: bytes, step: Step) -> bytes:
    """Return a request to show: its body not compressed, and with `[N bytes]` for what is not text."""
    if not (step.compresses or any(isinstance(part, BytesPart) for part in step.body or ())):
        return request
    head, separator, body = request.partition(b"\r\n\r\n")
    body = _without_bytes(body, step)
    if step.compresses and body.startswith(_MAGIC):
        body = _without_bytes(zlib.decompressobj(_GZIP).decompress(body, _MOST_SHOWN), step)
    return head + separator + body


def _without_bytes(body: bytes, step: Step) -> bytes:
    for part in step.body or ():
        if isinstance(part, BytesPart):
            content = part.content
            body = body.replace(content, b"[%d bytes]" % len(content), 1)
    return body
