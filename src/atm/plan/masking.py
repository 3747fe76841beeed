"""Specs as they may be shown and stored: credentials that stand in them literally become `***`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
SCHEMES = frozenset({"", "bearer", "basic", "token", "digest", "apikey"})
"""Words of an Authorization header that are no secret."""

_SENSITIVE_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"})
_SENSITIVE_NAME = re.compile(
    r"(?:^|[-_.])(?:password|passwd|passphrase|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credentials?)$",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")
_AUTH_SECRETS = ("token", "key", "password", "client_secret", "secret")
_REFERENCE = re.compile(r"\\\{\{|\{\{\s*([^{}|]+?)\s*(?:\|\s*raw\s*)?\}\}")
_USER_INFO = re.compile(r"(?<=://)[^/?#@\s]*@")
_QUERY = re.compile(r"(?<=[?&])([^=&#]*)=([^&#]*)")


def is_sensitive(name: str) -> bool:
    """Whether a header, variable or field of this name holds a credential."""
    return name.lower() in _SENSITIVE_HEADERS or bool(_SENSITIVE_NAME.search(_CAMEL.sub("_", name)))


def masked_spec(data: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a spec's plain data in which literal credentials are `***`; `{{env:…}}` and other templates stay."""
    return {str(name): _masked_field(str(name), value) for name, value in data.items()}


def masked_url(url: str) -> str:
    """A URL without user names, passwords, and values of parameters that are called like credentials."""
    without = _USER_INFO.sub(f"{MASK}@", url)
    return _QUERY.sub(lambda pair: f"{pair[1]}={masked_text(pair[2])}" if is_sensitive(pair[1]) else pair[0], without)


def shown_url(url: str, variables: Mapping[str, str]) -> str:
    """A URL as lists show it: masked, with each `{{name}}` that the spec itself gives a plain value filled in.

    What differs per request, comes from the environment, or is called like a credential stays as it is written.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        text = variables.get(name) if name else None
        return found[0] if text is None or "{{" in text or is_sensitive(name) else text

    return masked_url(_REFERENCE.sub(value, url))


def masked_text(text: str) -> str:
    """`***` for a literal secret; what consists of templates, and at most a scheme such as `Bearer`, stays."""
    return text if _TEMPLATE.sub("", text).strip().lower() in SCHEMES else MASK


def _masked_field(name: str, value: Any) -> Any:
    if name == "auth" and isinstance(value, Mapping):
        return {
            key: masked_text(str(item)) if key in _AUTH_SECRETS and item is not None else _masked_tree(item)
            for key, item in value.items()
        }
    if name in ("url", "proxy") and isinstance(value, str):
        return masked_url(value)
    if name == "endpoints" and isinstance(value, list | tuple):
        return [masked_spec(item) if isinstance(item, Mapping) else item for item in value]
    return _masked_tree(value)


def _masked_tree(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: masked_text(str(item))
            if is_sensitive(str(key)) and isinstance(item, str | int | float)
            else _masked_tree(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked_tree(item) for item in value]
    return masked_url(value) if isinstance(value, str) and "://" in value else value
