"""A spec's plain data while command-line flags change it, and which flag each new value comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from atm.errors import Problem
from atm.models.fields import Path

FLAGS: Mapping[str, str] = {
    "url": "URL",
    "base_url": "--base-url",
    "requests": "--requests",
    "concurrency": "--concurrency",
    "rate": "--rate",
    "duration": "--duration",
    "spawn_rate": "--spawn-rate",
    "tags": "--tags",
    "exclude_tags": "--exclude-tags",
    "stages": "--stages",
    "warm_up": "--warm-up",
    "method": "--method",
    "headers": "--header",
    "data": "--data",
    "timeout": "--timeout",
    "expect_status": "--expect-status",
    "expect_body": "--expect-body",
    "thresholds": "--threshold",
    "variables": "--var",
    "seed": "--seed",
    "engine": "--engine",
    "processes": "--processes",
    "on": "--on",
    "workers": "--workers",
    "min_workers": "--min-workers",
    "on_loss": "--on-loss",
    "allow_open_cluster": "--allow-open-cluster",
    "insecure": "--insecure",
    "connect_to": "--connect-to",
    "json_body": "--json-body",
    "form": "--form",
    "user": "--user",
    "bearer": "--bearer",
    "http2": "--http2",
    "no_keepalive": "--no-keepalive",
    "redirects": "--redirects",
    "proxy": "--proxy",
    "ca": "--ca",
    "cert": "--cert",
    "key": "--key",
}
"""The flag of each override, shown as the place of its problems."""

_OF_ONE_REQUEST = ("method", "body", "expect_body")
"""Fields that a spec with endpoints has only in its endpoints."""


class Change:
    """The data being changed, and the source of each new value."""

    def __init__(self, data: dict[str, Any], places: dict[Path, str]) -> None:
        self.data = data
        self.places = places
        self.problems: list[Problem] = []
        """Flags that cannot be read at all."""

    def unreadable(self, flag: str, what: str, code: str, hint: str) -> None:
        self.problems.append(Problem(what, code, place=FLAGS[flag], hint=hint))

    def put(self, path: tuple[str, ...], value: Any, place: str) -> None:
        """Set a field, at most one level deep."""
        target = self.data
        if len(path) == 2:
            inner = self.data.get(path[0])
            target = self.data[path[0]] = dict(inner) if isinstance(inner, Mapping) else {}
        target.pop(f"{path[-1]}_seconds", None)
        target[path[-1]] = value
        for replaced in [other for other in self.places if other[: len(path)] == path]:
            del self.places[replaced]
        self.places[path] = place

    def drop(self, *names: str) -> None:
        for name in names:
            self.data.pop(name, None)
            self.data.pop(f"{name}_seconds", None)

    def drop_in(self, outer: str, *names: str) -> None:
        """Drop fields of an object."""
        if isinstance(value := self.data.get(outer), Mapping):
            self.data[outer] = {name: item for name, item in value.items() if name not in names}

    def in_scenarios(self, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Edit every scenario and every step."""
        for name in ("scenarios", "blocks"):
            value = self.data.get(name)
            if isinstance(value, Mapping):
                self.data[name] = {key: _in_steps(item, edit) for key, item in value.items()}

    def everywhere(self, name: str, value: Any, place: str) -> None:
        """Set a field of the spec and remove it from the endpoints, or set it in the endpoints if only they have it."""
        if value is None:
            return
        self.in_scenarios(lambda item: {key: inner for key, inner in item.items() if key not in _spellings(name)})
        endpoints = self.data.get("endpoints")
        if not isinstance(endpoints, list):
            self.put((name,), value, place)
            return
        if name not in _OF_ONE_REQUEST:
            self.put((name,), value, place)
        changed: list[Any] = []
        for index, endpoint in enumerate(endpoints):
            if isinstance(endpoint, Mapping):
                endpoint = {key: item for key, item in endpoint.items() if key not in _spellings(name)}
                if name in _OF_ONE_REQUEST:
                    endpoint[name] = value
                    self.places[("endpoints", index, name)] = place
            changed.append(endpoint)
        self.data["endpoints"] = changed


def _in_steps(value: Any, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Return scenarios, blocks or steps with each of their objects edited, from outside to inside."""
    if isinstance(value, list | tuple):
        return [_in_steps(item, edit) for item in value]
    if not isinstance(value, Mapping):
        return value
    edited = edit(dict(value))
    return {name: _in_steps(item, edit) if name in _WITH_STEPS else item for name, item in edited.items()}


_WITH_STEPS = ("steps", "otherwise", "choose")


def _spellings(name: str) -> tuple[str, str]:
    return name, f"{name}_seconds"
