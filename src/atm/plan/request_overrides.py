"""Apply the flags of bodies, credentials and connections to a spec's plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from atm.plan.document_change import FLAGS, Change

if TYPE_CHECKING:
    from atm.plan.overrides import Overrides

_BODIES = ("body", "data", "json", "form", "multipart", "graphql", "file")
_OF_THE_URL = ("url", "method", "body", "expect_body", "checks")
"""Fields of a spec with one URL that belong to its request."""
_SETTINGS = {"redirects": ("redirects",), "proxy": ("proxy",)} | {name: ("tls", name) for name in ("ca", "cert", "key")}


def change_request(change: Change, overrides: Overrides) -> None:
    """Put bodies, credentials and connection settings; what cannot be read becomes a problem."""
    _change_body(change, overrides)
    _change_credentials(change, overrides)
    for name, path in _SETTINGS.items():
        value = getattr(overrides, name)
        if value is not None:
            change.put(path, value, FLAGS[name])
    if overrides.http2:
        change.put(("http_version",), "2", FLAGS["http2"])
    if overrides.no_keepalive:
        change.put(("keep_alive",), False, FLAGS["no_keepalive"])


def _change_body(change: Change, overrides: Overrides) -> None:
    given = [name for name in ("data", "json_body", "form") if getattr(overrides, name) not in (None, ())]
    if len(given) > 1:
        flags = " and ".join(FLAGS[name] for name in given)
        change.unreadable(given[-1], f"{flags} each set the request body", "conflict", "Give only one of them")
    elif given == ["json_body"]:
        try:
            _set_body(change, "json", json.loads(overrides.json_body or ""), FLAGS["json_body"])
        except ValueError as error:
            hint = "`--json-body '{\"id\": 1}'`, or `--json-body @FILE`; text that is not JSON is for `-d`"
            change.unreadable("json_body", f"the body is not JSON: {error}", "invalid_json", hint)
    elif given == ["form"]:
        fields = _form_fields(change, overrides.form)
        if fields is not None:
            _set_body(change, *fields, FLAGS["form"])


def _form_fields(change: Change, texts: tuple[str, ...]) -> tuple[str, dict[str, Any]] | None:
    """Return the key and value of the body: a form, or with files multipart. None if a text is not a field."""
    fields: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            hint = "Write `--form NAME=VALUE`, or `--form NAME=@FILE` to send a file"
            change.unreadable("form", "a field of the form has no name and value", "bad_form", hint)
            return None
        fields.setdefault(name, []).append(value)
    if not any(value.startswith("@") for values in fields.values() for value in values):
        return "form", {name: values if len(values) > 1 else values[0] for name, values in fields.items()}
    if repeated := next((name for name, values in fields.items() if len(values) > 1), None):
        hint = "Give each name once; a spec can send what flags cannot"
        change.unreadable("form", f"{repeated} is given twice in a form with files", "conflict", hint)
        return None
    return "multipart", {name: {"file": v[1:]} if v.startswith("@") else v for name, [v] in fields.items()}


def _set_body(change: Change, key: str, value: Any, place: str) -> None:
    """Set the body of every endpoint; a spec with one URL gets an endpoint, which can have all kinds of bodies."""
    endpoints = change.data.get("endpoints")
    if endpoints is None:
        endpoints = [{name: change.data.pop(name) for name in _OF_THE_URL if name in change.data}]
        for path in [path for path in change.places if path[0] in _OF_THE_URL]:
            change.places["endpoints", 0, *path] = change.places.pop(path)
    if not isinstance(endpoints, list):
        return
    changed: list[Any] = []
    for index, endpoint in enumerate(endpoints):
        if isinstance(endpoint, Mapping):
            endpoint = {name: item for name, item in endpoint.items() if name not in _BODIES}
            endpoint[key] = value
            change.places["endpoints", index, key] = place
        changed.append(endpoint)
    change.data["endpoints"] = changed


def _change_credentials(change: Change, overrides: Overrides) -> None:
    """Put the credentials of the spec; endpoints and steps with credentials of their own keep them."""
    if overrides.user is not None and overrides.bearer is not None:
        what = "--user and --bearer each set the credentials"
        change.unreadable("bearer", what, "conflict", "Give only one of them")
    elif overrides.bearer is not None:
        change.put(("auth",), {"type": "bearer_token", "token": overrides.bearer}, FLAGS["bearer"])
    elif overrides.user is not None:
        name, colon, password = overrides.user.partition(":")
        if not colon:
            hint = "Write `--user NAME:PASSWORD`, or `--user @FILE` with a file that contains it"
            change.unreadable("user", "the user has no password", "bad_user", hint)
            return
        change.put(("auth",), {"type": "basic", "username": name, "password": password}, FLAGS["user"])
