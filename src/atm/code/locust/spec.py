"""Turn a locustfile and the flags of a run into a spec: a scenario for each user class, with its share of the users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from atm.code.locust.distribution import users_of
from atm.code.locust.locustfile import Locustfile
from atm.code.locust.shape import stages, users_by_second
from atm.code.locust.user import User
from atm.errors import Problem, SpecError
from atm.models.duration import parse_duration
from atm.plan.overrides import Overrides

MOST_REDIRECTS = 30
TIMEOUT = "60s"
GRACEFUL_STOP = "1s"
"""For tasks in progress at the end, and then for `on_stop`: Locust leaves tasks in progress at once."""


def locust_spec(file: Locustfile, name: str, overrides: Overrides) -> tuple[dict[str, Any], Overrides]:
    """Return the fields of a spec, and the flags that are not in them yet. Raises SpecError."""
    variables = _variables(overrides)
    base_url = overrides.base_url or next((user.host for user in file.user_classes if user.host), None)
    if base_url is None:
        hint = 'Give it with `--host URL`, or in the class: `host = "https://shop.example.com"`'
        raise SpecError(Problem("the locustfile has no host", "no_host", place=name, hint=hint))
    try:
        file.begin(base_url, variables)
        loads = _loads(file, overrides)
    except ValueError as error:
        raise SpecError(Problem(str(error), "bad_locustfile", place=name)) from error
    data: dict[str, Any] = {
        "expected_status_codes": ["2xx", "3xx"],
        "redirects": MOST_REDIRECTS,
        "timeout": TIMEOUT,
        "graceful_stop": GRACEFUL_STOP,
        "base_url": base_url,
        "variables": variables,
        "scenarios": {user.__name__: {"code": f"{name}:{user.__name__}", "load": load} for user, load in loads.items()},
    }
    return data, replace(
        overrides, base_url=None, concurrency=None, stages=None, spawn_rate=None, tags=(), exclude_tags=(), variables=()
    )


def _variables(overrides: Overrides) -> dict[str, str]:
    """Return the options of the run, as every process that runs the file needs them."""
    variables: dict[str, str] = {}
    for text in overrides.variables:
        name, _, value = text.partition("=")
        variables[name.strip()] = value
    given = {
        "host": overrides.base_url,
        "num_users": overrides.concurrency,
        "spawn_rate": overrides.spawn_rate,
        "run_time": overrides.duration,
        "tags": ",".join(overrides.tags),
        "exclude_tags": ",".join(overrides.exclude_tags),
    }
    return {**variables, **{name: str(value) for name, value in given.items() if value}}


def _loads(file: Locustfile, overrides: Overrides) -> Mapping[type[User], dict[str, Any]]:
    """Return the load of each class that has users. Raises ValueError."""
    if overrides.rate is not None:
        raise ValueError("the load of a locustfile is users: use --users, and --spawn-rate for a ramp, not --rate")
    if not file.user_classes:
        raise ValueError("the file declares no user class: derive one from HttpUser, and give it tasks")
    if without := [user.__name__ for user in file.user_classes if not user.tasks]:
        raise ValueError(f"{', '.join(without)} has no tasks: use @task, or choose other tags")
    if overrides.concurrency is None and overrides.stages is None and file.shape is not None:
        return _shared(file, stages(users_by_second(file.shape, file.environment.runner)))
    if overrides.stages is not None:
        return _shared(file, _stages(overrides.stages))
    users = overrides.concurrency or 1
    ramp = users / overrides.spawn_rate if overrides.spawn_rate else 0.0
    if ramp < 1:
        return {user: {"users": count} for user, count in users_of(file.user_classes, users).items() if count}
    if overrides.duration is None:
        raise ValueError("--spawn-rate needs --duration, the whole time of the run")
    whole = float(parse_duration(str(overrides.duration)))
    if whole <= ramp:
        return _shared(file, [{"duration": whole, "target": max(1, round(users * whole / ramp))}])
    return _shared(file, [{"duration": ramp, "target": users}, {"duration": whole - ramp, "target": users}])


def _shared(file: Locustfile, all_stages: Sequence[Mapping[str, Any]]) -> Mapping[type[User], dict[str, Any]]:
    """Share stages of all users among the classes."""
    shares = [users_of(file.user_classes, stage["target"]) for stage in all_stages]
    return {
        user: {
            "model": "closed",
            "stages": [{**stage, "target": share[user]} for stage, share in zip(all_stages, shares, strict=True)],
        }
        for user in file.user_classes
        if any(share[user] for share in shares)
    }


def _stages(text: str) -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = []
    for stage in text.split(","):
        duration, colon, target = stage.strip().rpartition(":")
        if not colon or not target.isdecimal():
            raise ValueError(f'"{stage.strip()}" is not a stage: write `--stages 30s:100,1m:500`')
        parsed.append({"duration": duration, "target": int(target)})
    return parsed
