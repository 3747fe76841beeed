"""The filters of a value: `{{name|base64}}`."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

from atm.engine.asyncio_engine.scenario.scope import Context
from atm.engine.asyncio_engine.scenario.value import Value, json_form, text_form
from atm.plan.template_parts import Filter
from atm.plan.templates import percent_encoded


def filter_of(filtering: Filter, context: Context) -> Callable[[Value], str]:
    """Return the function of a filter."""
    if filtering.name == "json":
        return json_form
    if filtering.name == "hmac_sha256":
        key = _key_of(filtering, context)
        return lambda value: hmac.digest(key(), _bytes(value), "sha256").hex()
    return _FILTERS[filtering.name]


def _key_of(filtering: Filter, context: Context) -> Callable[[], bytes]:
    if filtering.key_slot:
        return lambda: context.secrets[filtering.key_slot].encode()
    key = filtering.key.encode()
    return lambda: key


def _bytes(value: Value) -> bytes:
    return text_form(value).encode()


def _lower(value: Value) -> str:
    text = text_form(value)
    return text.lower() if text.isascii() else "".join(_one(character, character.lower()) for character in text)


def _upper(value: Value) -> str:
    text = text_form(value)
    return text.upper() if text.isascii() else "".join(_one(character, character.upper()) for character in text)


def _one(character: str, mapped: str) -> str:
    return mapped if len(mapped) == 1 else character


_FILTERS: dict[str, Callable[[Value], str]] = {
    "base64": lambda value: base64.b64encode(_bytes(value)).decode(),
    "base64url": lambda value: base64.urlsafe_b64encode(_bytes(value)).decode().rstrip("="),
    "sha256": lambda value: hashlib.sha256(_bytes(value)).hexdigest(),
    "url": lambda value: percent_encoded(text_form(value)),
    "lower": _lower,
    "upper": _upper,
}
