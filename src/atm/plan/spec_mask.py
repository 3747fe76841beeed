"""Mask specs for display and storage: literal credentials become `***`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from atm.plan.secret_names import is_plural, is_sensitive, is_sensitive_header
from atm.plan.secret_text import MASK, SCHEMES, looks_secret, masked_in_text, masked_text, secret_spans

__all__ = [
    "MASK",
    "SCHEMES",
    "hides_variable",
    "is_plural",
    "is_secret_field",
    "is_sensitive",
    "is_sensitive_header",
    "masked_in_text",
    "masked_spec",
    "masked_text",
    "masked_url",
    "only_describes",
    "secret_spans",
    "shown_url",
]

_AUTH_SECRETS = ("token", "key", "password", "client_secret", "secret")
_REFERENCE = re.compile(r"\\\{\{|\{\{\s*([^{}|]+?)\s*(?:\|\s*raw\s*)?\}\}")
_USER_INFO = re.compile(r"(?<=://)[^/?#@\s]*@")
_QUERY = re.compile(r"(?<=[?&;])([^=&;#/]*)=((?:\{\{[^{}]*\}\}|[^&;#])*)")
_HARMLESS = frozenset(
    {"type", "kind", "scheme", "user", "username", "name", "email", "login", "scope", "method", "algorithm", "alg"}
)
"""Fields inside an object with a credential name that are not secret themselves."""
_REQUEST_LISTS = ("endpoints", "steps", "otherwise", "choose", "setup", "teardown")
"""Lists of objects that are requests or contain them."""
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_SHOWN = ("name", "method", "expect_body", "thresholds", "tls", "load", "distribution_strategy")
_PAIR_NAMES = ("name", "key", "field", "header")
_PAIR_VALUES = ("value", "val")


def masked_spec(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a spec's plain data with literal credentials as `***`; `{{env:…}}` and other templates stay."""
    return {str(name): _masked_field(str(name), value) for name, value in data.items()}


def masked_url(url: str) -> str:
    """Remove user names, passwords, and parameters with credential names or formats from a URL."""
    without = _USER_INFO.sub(f"{MASK}@", url)
    named = _QUERY.sub(lambda pair: f"{pair[1]}={masked_text(pair[2])}" if is_sensitive(pair[1]) else pair[0], without)
    return masked_in_text(named, colons=False)


def shown_url(url: str, variables: Mapping[str, str]) -> str:
    """Return a URL for lists: masked, with each `{{name}}` filled in if the spec has a plain value for it.

    Values that differ per request, come from the environment, or are credentials remain templates.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        text = variables.get(name) if name else None
        return match[0] if text is None or "{{" in text or hides_variable(name, text) else text

    return masked_url(_REFERENCE.sub(value, url))


def hides_variable(name: str, value: str) -> bool:
    """Return whether a variable is a credential: by `secret: true`, by its name, or by the format of its value."""
    if getattr(value, "is_secret", False) or is_sensitive(name):
        return True
    # In addresses, user names and parameters are masked individually.
    return looks_secret(value) if "://" in value else bool(secret_spans(value))


def is_secret_field(name: str, siblings: Mapping[str, Any]) -> bool:
    """Return whether a body field holds a credential, by its own name or by the `name` field beside it."""
    if is_sensitive(name):
        return True
    return name in _PAIR_VALUES and any(
        isinstance(label := siblings.get(pair), str) and is_sensitive(label) for pair in _PAIR_NAMES
    )


def only_describes(name: str, value: Any) -> bool:
    """Return whether a field in an object with a credential name is not secret: whom it is for, or its type."""
    return isinstance(value, str) and name.lower() in _HARMLESS


def _masked_field(name: str, value: Any) -> Any:
    if name == "auth" and isinstance(value, Mapping):
        return {
            key: masked_text(str(item)) if key in _AUTH_SECRETS and item is not None else _masked_tree(item)
            for key, item in value.items()
        }
    if name in ("url", "base_url", "proxy") and isinstance(value, str):
        return masked_url(value)
    if name == "headers" and isinstance(value, Mapping):
        return {key: _masked_header(str(key), item) for key, item in value.items()}
    if name == "variables" and isinstance(value, Mapping):
        return {key: _masked_variable(str(key), item) for key, item in value.items()}
    if name in _REQUEST_LISTS and isinstance(value, list | tuple):
        return _masked_steps(value)
    if name in ("scenarios", "blocks") and isinstance(value, Mapping):
        return {
            key: masked_spec(item) if isinstance(item, Mapping) else _masked_steps(item) for key, item in value.items()
        }
    if name == "data" and isinstance(value, Mapping):
        return {key: _masked_rows(item) for key, item in value.items()}
    if name in _METHODS and isinstance(value, str):
        return masked_url(value)
    if name == "extract" and isinstance(value, Mapping):
        return {key: _masked_extract(item) for key, item in value.items()}
    if name in _SHOWN:
        return value
    return _masked_tree(value)


def _masked_rows(source: Any) -> Any:
    """Mask test data in columns with a credential name, also where rows are lists."""
    masked = _masked_tree(source)
    columns = source.get("columns") if isinstance(source, Mapping) else None
    rows = source.get("rows") if isinstance(source, Mapping) else None
    if not isinstance(columns, list | tuple) or not isinstance(rows, list | tuple):
        return masked
    hidden = [is_sensitive(str(column)) for column in columns]
    masked["rows"] = [_masked_row(row, whole, hidden) for row, whole in zip(masked["rows"], rows, strict=True)]
    return masked


def _masked_row(masked: Any, row: Any, hidden: list[bool]) -> Any:
    if isinstance(row, Mapping):
        return masked
    if not isinstance(row, list | tuple):
        return MASK if hidden == [True] else masked
    hides = [*hidden, *[False] * len(row)]
    return [MASK if hide else cell for cell, hide in zip(masked, hides, strict=False)]


def _masked_steps(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return [masked_spec(item) if isinstance(item, Mapping) else item for item in value]


def _masked_extract(value: Any) -> Any:
    """Mask the default of an extract; its source only says where the value is."""
    if not isinstance(value, Mapping):
        return _masked_leaf(value)
    return {key: _masked_tree(item) if key == "default" else item for key, item in value.items()}


def _masked_header(name: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_masked_header(name, item) for item in value]
    if not isinstance(value, str | int | float):
        return value
    return masked_text(str(value)) if is_sensitive_header(name) else _masked_leaf(value)


def _masked_variable(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        is_marked = value.get("secret")
        hides = bool(is_marked) or is_sensitive(name)
        return {
            key: masked_text(str(item)) if hides and key == "value" and item is not None else _masked_leaf(item)
            for key, item in value.items()
        }
    if isinstance(value, str | int | float) and not isinstance(value, bool) and is_sensitive(name):
        return masked_text(str(value))
    return _masked_leaf(value)


def _masked_tree(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _masked_inside(str(key), item) if is_secret_field(str(key), value) else _masked_tree(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked_tree(item) for item in value]
    return _masked_leaf(value)


def _masked_inside(name: str, value: Any) -> Any:
    """Mask the value of a field with a credential name, except for descriptive fields."""
    if isinstance(value, Mapping):
        return {
            key: _masked_leaf(item) if only_describes(str(key), item) else _masked_inside("", item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked_inside("", item) for item in value]
    if value is None or isinstance(value, bool) or (isinstance(value, int | float) and is_plural(name)):
        return value
    return masked_text(str(value))


def _masked_leaf(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return masked_url(value) if "://" in value else masked_in_text(value)
