"""Turn what `requests` takes for a request into what is sent: URL, headers and body."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit, urlunsplit

_KEPT_IN_URL = "!#$%&'()*+,/:;=?@[]~"


def with_params(url: str, params: Any) -> str:
    """Return a URL with more values in its query."""
    query = params if isinstance(params, str) else urlencode(_pairs(params))
    if not query:
        return url
    address, mark, fragment = url.partition("#")
    return f"{address}{'&' if '?' in address else '?'}{query}{mark}{fragment}"


def quoted(url: str) -> str:
    """Return a URL in which only characters are left that a URL can have."""
    if url.isascii() and " " not in url:
        return url
    return quote(url, safe=_KEPT_IN_URL)


def encoded(data: Any, document: Any) -> tuple[bytes | None, str | None]:
    """Return the body and its content type, of `data=` or else of `json=`."""
    if data is None or data in ({}, [], (), "", b""):
        if document is None:
            return None, None
        return json.dumps(document, allow_nan=False).encode(), "application/json"
    if isinstance(data, bytes | bytearray):
        return bytes(data), None
    if isinstance(data, str):
        return data.encode(), None
    if hasattr(data, "read"):
        content = data.read()
        return (content if isinstance(content, bytes) else content.encode()), None
    return urlencode(_pairs(data)).encode(), "application/x-www-form-urlencoded"


def basic(auth: Any) -> str:
    """Return the value of `Authorization` for a pair of name and password, or an object that has both.

    Raises TypeError.
    """
    name, password = getattr(auth, "username", None), getattr(auth, "password", None)
    if isinstance(auth, tuple | list) and len(auth) == 2:
        name, password = auth
    elif "Digest" in type(auth).__name__ or name is None or password is None:
        raise TypeError("auth= takes (name, password); for others, set the header Authorization")
    pair = b":".join(part if isinstance(part, bytes) else str(part).encode("latin-1") for part in (name, password))
    return "Basic " + b64encode(pair).decode()


def without_credentials(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return a URL without name and password in it, and both."""
    parts = urlsplit(url)
    if not parts.username or not parts.password:
        return url, None
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host)), (unquote(parts.username), unquote(parts.password))


def _pairs(values: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None) -> list[tuple[Any, Any]]:
    """Return names and values; a list is one pair for each item, None is left out."""
    pairs: list[tuple[Any, Any]] = []
    for name, value in values.items() if isinstance(values, Mapping) else values or ():
        many = value if isinstance(value, Iterable) and not isinstance(value, str | bytes) else (value,)
        pairs += [(name, item) for item in many if item is not None]
    return pairs
