"""Compile the load of a spec, in any of its notations, into the plan's `Load`."""

from __future__ import annotations

from typing import Literal

from atm.models.fields import Findings, Path
from atm.models.load import LoadSpec
from atm.models.spec import TestSpec
from atm.plan.load_plan import Load, Segment

DEFAULT_USERS = 10
DEFAULT_REQUESTS = 100
_OPEN_ONLY = ("rate", "arrival", "on_saturation", "catch_up", "catch_up_max", "max_in_flight")
_CLOSED_ONLY = ("users", "max_rate")


def nanoseconds(seconds: float) -> int:
    """Convert seconds to whole nanoseconds."""
    return round(seconds * 1e9)


def compile_load(spec: TestSpec, findings: Findings) -> Load:
    """Build the load and report every contradiction in it."""
    if spec.load is None:
        return _flat_load(spec)
    for name in ("requests_per_second", "concurrency"):
        if name in spec.written:
            instead = "rate" if name == "requests_per_second" else "users` or `max_in_flight"
            what = f"load and {name} are alternatives"
            findings.add((name,), what, "conflict", f"Move it into load as `{instead}`")
    return written_load(spec.load, ("load",), findings)


def total_requests(spec: TestSpec) -> int | None:
    """Return the total after which sending ends; 100 if the spec sets no other end."""
    if spec.total_requests is not None or spec.duration is not None or (spec.load and spec.load.stages):
        return spec.total_requests
    return DEFAULT_REQUESTS


def _flat_load(spec: TestSpec) -> Load:
    if spec.requests_per_second is not None:
        rate = spec.requests_per_second
        return Load("open", (Segment(rate, rate, None),), max_in_flight=spec.concurrency)
    users = float(spec.concurrency or DEFAULT_USERS)
    return Load("closed", (Segment(users, users, None),))


def written_load(load: LoadSpec, path: Path, findings: Findings) -> Load:
    """Build the load of a `load` at `path`, and report every contradiction in it."""
    model = _model(load, path, findings)
    _report_contradictions(load, model, path, findings)
    segments = _segments(load, model)
    warm_up_level = load.warm_up_level
    if warm_up_level is None:
        warm_up_level = segments[0].start or next((segment.end for segment in segments if segment.end), 0.0)
    return Load(
        model,
        segments,
        warm_up_ns=nanoseconds(load.warm_up),
        warm_up_level=warm_up_level if load.warm_up else 0.0,
        arrival=load.arrival,
        on_saturation=load.on_saturation,
        catch_up=load.catch_up,
        catch_up_max_ns=nanoseconds(load.catch_up_max),
        max_in_flight=load.max_in_flight,
        max_rate=load.max_rate,
    )


def _model(load: LoadSpec, path: Path, findings: Findings) -> Literal["closed", "open"]:
    if load.model is not None:
        return load.model
    if "rate" in load.written:
        return "open"
    if load.stages and "users" not in load.written and not findings.touch(*path):
        what = "load has stages but no model: their targets could be users or arrivals per second"
        hint = "Add `model: open` (arrivals per second) or `model: closed` (users)"
        findings.add(path, what, "missing_field", hint)
    return "closed"


def _report_contradictions(load: LoadSpec, model: str, path: Path, findings: Findings) -> None:
    wrong, other = (_CLOSED_ONLY, "closed") if model == "open" else (_OPEN_ONLY, "open")
    for name in wrong:
        if name in load.written:
            what = f"{name} belongs to the {other} model, and this load is {model}"
            hint = f"Remove it, or set `model: {other}`"
            findings.add((*path, name), what, "conflict", hint)
    level = "rate" if model == "open" else "users"
    if load.stages is None:
        if "start" in load.written:
            what = f"start is the level at which stages begin, and there are none; a constant level is {level}"
            findings.add((*path, "start"), what, "conflict", f"Write `{level}` instead, or add stages")
        if model == "open" and load.rate is None and not findings.touch(*path, "rate"):
            what = "an open load needs a rate or stages"
            findings.add(path, what, "missing_field", "Add `rate: 50` (arrivals per second)")
    elif level in load.written:
        what = f"load has both {level} and stages"
        findings.add(
            (*path, level), what, "conflict", f"Keep one; stages begin at `start`, so `start: …` for `{level}`"
        )
    elif not any(stage.target for stage in load.stages) and not load.start and not findings.touch(*path):
        findings.add((*path, "stages"), "no stage has a target above 0", "no_load", "Add `target: 10` to one of them")


def _segments(load: LoadSpec, model: str) -> tuple[Segment, ...]:
    if load.stages is None:
        level = (load.rate or 1.0) if model == "open" else float(load.users or DEFAULT_USERS)
        return (Segment(level, level, None),)
    segments = []
    level = load.start or 0.0
    for stage in load.stages:
        duration = nanoseconds(stage.duration)
        if duration:
            segments.append(Segment(level, stage.target, duration))
        level = stage.target
    return tuple(segments) or (Segment(level, level, 0),)
