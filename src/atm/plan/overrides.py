"""Apply command-line flags to a spec's plain data, before anything is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from atm.dataclass import dataclass
from atm.plan.document import SpecDocument
from atm.plan.document_change import FLAGS, Change
from atm.plan.request_overrides import change_request


@dataclass(frozen=True, slots=True)
class Overrides:
    """The flags that override a spec; None and empty mean not given. Texts are parsed as in a spec."""

    url: str | None = None
    base_url: str | None = None
    requests: int | None = None
    concurrency: int | None = None
    rate: float | None = None
    duration: str | float | None = None
    stages: str | None = None
    """`30s:100,1m:500`: duration and target of each stage."""
    warm_up: str | float | None = None
    method: str | None = None
    headers: tuple[str, ...] = ()
    """`Name: value`, or `Name:` to remove a default header."""
    data: str | None = None
    timeout: str | float | None = None
    expect_status: tuple[str | int, ...] = ()
    expect_body: str | None = None
    thresholds: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    """`name=value`."""
    seed: int | None = None
    engine: str | None = None
    processes: int | None = None
    on: str | None = None
    workers: int | None = None
    min_workers: int | None = None
    on_loss: str | None = None
    allow_open_cluster: bool | None = None
    insecure: bool = False
    connect_to: tuple[str, ...] = ()
    json_body: str | None = None
    """JSON text."""
    form: tuple[str, ...] = ()
    """`name=value`, or `name=@file`."""
    user: str | None = None
    """`name:password`."""
    bearer: str | None = None
    http2: bool = False
    no_keepalive: bool = False
    redirects: int | None = None
    proxy: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    spawn_rate: float | None = None
    """Users to start per second; of locustfiles, like the tags."""
    tags: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()


_SIMPLE = {
    "method": "method",
    "data": "body",
    "timeout": "timeout",
    "expect_body": "expect_body",
    "seed": "seed",
    "engine": "engine",
}
_OF_LOCUSTFILES = ("spawn_rate", "tags", "exclude_tags")
_NOT_FOR_SCENARIOS = ("url", "method", "data", "expect_body", "json_body", "form")
"""Overrides of a single request."""


def with_overrides(document: SpecDocument, overrides: Overrides) -> SpecDocument:
    """Return the document changed by the flags; fields that contradict a flag are removed.

    - `--duration` and `--requests` each remove the other's field from the spec, so that the given one takes effect.
    - `--rate` makes the load open, and removes users, stages and throttle. `--concurrency` sets the users of a closed
      load, or the limit of requests in flight of an open one.
    - `--stages` replaces the level. Its targets are users if the spec has users, or with `--concurrency` and without
      `--rate`; otherwise arrivals per second. The first stage begins at the level given by these flags, or at 0.
    - Headers, variables and thresholds are added; an existing header or variable is replaced. Method, data, timeout and
      expectations apply to every endpoint.
    - In a spec with scenarios, headers, timeout and expected status apply to every step; flags for a single request
      (URL, method, data, expected body) are a problem.
    """
    if not isinstance(document.data, Mapping):
        return document
    change = Change(dict(document.data), dict(document.places))
    if change.data.get("scenarios") is not None:
        overrides = _for_scenarios(change, overrides)
    for name in _OF_LOCUSTFILES:
        if getattr(overrides, name):
            change.unreadable(name, f"{FLAGS[name]} is for locustfiles", "conflict", "Remove it")
    for name, target in _SIMPLE.items():
        change.everywhere(target, getattr(overrides, name), FLAGS[name])
    change.everywhere("expected_status_codes", list(overrides.expect_status) or None, FLAGS["expect_status"])
    if overrides.url is not None:
        change.drop("endpoints")
        change.put(("url",), overrides.url, FLAGS["url"])
        change.data.setdefault("name", overrides.url.partition("?")[0][:256])
    if overrides.base_url is not None:
        change.put(("base_url",), overrides.base_url, FLAGS["base_url"])
    change_request(change, overrides)
    _change_fleet(change, overrides)
    _change_ends(change, overrides)
    _change_load(change, overrides)
    _add_texts(change, overrides)
    return replace(document, data=change.data, places=change.places, problems=tuple(change.problems))


def _change_fleet(change: Change, overrides: Overrides) -> None:
    """Put the flags of a fleet; processes of this machine replace a cluster of the spec, and the reverse."""
    if overrides.processes is not None:
        change.drop_in("fleet", "on", "workers", "allow_open_cluster")
    elif overrides.on is not None:
        change.drop_in("fleet", "processes")
    for name in ("processes", "on", "workers", "min_workers", "on_loss", "allow_open_cluster"):
        value = getattr(overrides, name)
        if value is not None:
            change.put(("fleet", name), value, FLAGS[name])


def _for_scenarios(change: Change, overrides: Overrides) -> Overrides:
    """Report the overrides of a single request, and return the others."""
    for name in _NOT_FOR_SCENARIOS:
        if getattr(overrides, name) not in (None, ()):
            what = f"{FLAGS[name]} is for a single request, and this spec has scenarios"
            hint = "Use a variable in the step, and give its value: `--var NAME=VALUE`"
            if name == "url":
                hint = 'Write `base_url: "{{base}}"` in the spec, and give its value: `--var base=URL`'
            change.unreadable(name, what, "conflict", hint)
    return replace(overrides, url=None, method=None, data=None, expect_body=None, json_body=None, form=())


def _change_ends(change: Change, overrides: Overrides) -> None:
    if overrides.duration is not None and overrides.requests is None:
        change.drop("total_requests")
    if overrides.requests is not None and overrides.duration is None:
        change.drop("duration")
    if overrides.requests is not None:
        change.put(("total_requests",), overrides.requests, FLAGS["requests"])
    if overrides.duration is not None:
        change.put(("duration",), overrides.duration, FLAGS["duration"])


def _change_load(change: Change, overrides: Overrides) -> None:
    load = change.data.get("load")
    if not isinstance(load, Mapping):
        if overrides.stages is None and overrides.warm_up is None:
            for name, field_name in (("rate", "requests_per_second"), ("concurrency", "concurrency")):
                value = getattr(overrides, name)
                if value is not None:
                    change.put((field_name,), value, FLAGS[name])
            return
        load = _as_load(change)
    model = load.get("model") or ("open" if "rate" in load else "closed")
    had_load = isinstance(change.data.get("load"), Mapping) or "users" in load
    change.data["load"] = dict(load)
    if overrides.rate is not None:
        _keep(change, "open", ("rate",), overrides.rate, FLAGS["rate"])
        model = "open"
    if overrides.stages is not None:
        users = overrides.rate is None and (overrides.concurrency is not None or (model == "closed" and had_load))
        model = "closed" if users else "open"
        _keep(change, model, ("stages",), _stages(change, overrides.stages), FLAGS["stages"])
        if overrides.rate is not None:
            change.put(("load", "start"), overrides.rate, FLAGS["rate"])
    if overrides.concurrency is not None:
        if model == "open":
            change.put(("load", "max_in_flight"), overrides.concurrency, FLAGS["concurrency"])
        elif overrides.stages is None:
            _keep(change, "closed", ("users",), overrides.concurrency, FLAGS["concurrency"])
        else:
            change.put(("load", "start"), overrides.concurrency, FLAGS["concurrency"])
    if overrides.warm_up is not None:
        change.put(("load", "warm_up"), overrides.warm_up, FLAGS["warm_up"])


def _as_load(change: Change) -> dict[str, Any]:
    """Convert the spec's flat fields to a `load`, so that stages or a warm-up can be added."""
    load: dict[str, Any] = {}
    rate = change.data.get("requests_per_second")
    users = change.data.get("concurrency")
    if rate is not None:
        load["rate"] = rate
    if users is not None:
        load["max_in_flight" if rate is not None else "users"] = users
    for flat, name in (("requests_per_second", "rate"), ("concurrency", "users")):
        if (flat,) in change.places:
            change.places[("load", name)] = change.places[(flat,)]
    change.drop("requests_per_second", "concurrency")
    return load


def _keep(change: Change, model: str, path: tuple[str], value: Any, place: str) -> None:
    """Set one level in `load` and keep only what is compatible with it and its model."""
    gone = {"rate", "users", "stages", "start", "warm_up_level"} - set(path)
    gone |= (
        {"max_rate"} if model == "open" else {"arrival", "on_saturation", "catch_up", "catch_up_max", "max_in_flight"}
    )
    load = {name: item for name, item in change.data["load"].items() if name not in gone}
    change.data["load"] = {**load, "model": model}
    change.put(("load", *path), value, place)


def _stages(change: Change, text: str) -> list[Any]:
    """Parse `30s:100,1m:500` as stages; durations and targets are checked later, with the spec."""
    stages: list[Any] = []
    for stage in text.split(","):
        duration, colon, target = stage.strip().rpartition(":")
        stages.append({"duration": duration, "target": target} if colon else {"duration": 1, "target": 1})
        if not colon:
            hint = "Give duration and target: `--stages 30s:100,1m:500`"
            change.unreadable("stages", f'"{stage.strip()}" is not a stage', "bad_stage", hint)
    return stages


def _add_texts(change: Change, overrides: Overrides) -> None:
    lines: dict[str, tuple[str, list[str] | None]] = {}
    for text in overrides.headers:
        name, colon, value = text.partition(":")
        key = name.strip().lower()
        if colon and not value.strip():
            lines[key] = (name.strip(), None)
        elif colon:
            lines[key] = (name.strip(), [*(lines.get(key, ("", None))[1] or ()), value.strip()])
        elif text.endswith(";") and text[:-1].strip():
            lines[key[:-1].strip()] = (text[:-1].strip(), [""])
        else:
            hint = "Write `-H 'Name: value'`; `-H 'Name:'` leaves a header out, `-H 'Name;'` sends it empty"
            change.unreadable("headers", f'"{text}" is not a header: it has no colon', "bad_header", hint)
    for name, values in lines.values():
        _replace_header(change, name, values[0] if values and len(values) == 1 else values)
    for text in overrides.variables:
        name, equals, value = text.partition("=")
        if equals:
            change.put(("variables", name.strip()), value, FLAGS["variables"])
        else:
            hint = f"Write `--var {text}=VALUE`"
            change.unreadable("variables", f'"{text}" has no value for the variable', "bad_variable", hint)
    if overrides.insecure:
        change.put(("tls", "insecure"), True, FLAGS["insecure"])
    if overrides.connect_to:
        change.put(("connect_to",), [*overrides.connect_to, *_list(change.data.get("connect_to"))], FLAGS["connect_to"])
    if overrides.thresholds:
        rules = change.data.get("thresholds")
        named = dict(rules) if isinstance(rules, Mapping) else {}
        before = _list(named.get("expressions") if isinstance(rules, Mapping) else rules)
        change.data["thresholds"] = {**named, "expressions": [*before, *overrides.thresholds]}
        for index in range(len(overrides.thresholds)):
            change.places[("thresholds", "expressions", len(before) + index)] = FLAGS["thresholds"]


def _replace_header(change: Change, name: str, value: str | list[str] | None) -> None:
    """Replace the same header of the spec and its endpoints, in any spelling, by the flag's."""
    given = change.data.get("headers")
    if isinstance(given, Mapping):
        change.data["headers"] = {key: item for key, item in given.items() if str(key).lower() != name.lower()}
    change.put(("headers", name), value, FLAGS["headers"])

    def without(item: dict[str, Any]) -> dict[str, Any]:
        headers = item.get("headers")
        if not isinstance(headers, Mapping):
            return item
        return {**item, "headers": {key: line for key, line in headers.items() if str(key).lower() != name.lower()}}

    change.in_scenarios(without)
    endpoints = change.data.get("endpoints")
    if isinstance(endpoints, list):
        change.data["endpoints"] = [without(dict(item)) if isinstance(item, Mapping) else item for item in endpoints]


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
