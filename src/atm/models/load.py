"""The load model and its level: the `load` of a spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from atm.models.field_types import Choice, Duration, ListOf, Nested, Number
from atm.models.fields import SpecModel, declared

USERS = Number(least=1, most=10_000_000, whole=True)
RATE = Number(above=0, most=1e9)
LEVEL = Number(least=0, most=1e9)
WHOLE = Number(least=1, most=1e15, whole=True)


class Stage(SpecModel):
    """A linear ramp from the previous level to `target`; with a duration of 0, a jump."""

    duration: float = declared(Duration(), "Duration of the ramp.", examples=["30s"])
    target: float = declared(
        LEVEL, "Users (closed) or arrivals per second (open) at the end of the ramp.", examples=[100]
    )


class LoadSpec(SpecModel):
    """The load of a test: the users of a closed model, or the arrival rate of an open one."""

    synonyms: ClassVar[Mapping[str, str]] = {"concurrency": "users", "requests_per_second": "rate"}

    model: Literal["closed", "open"] | None = declared(
        Choice("closed", "open"),
        "closed: fixed users, the rate results. open: fixed arrival rate. Default: derived from `users` or `rate`.",
        default=None,
    )
    users: int | None = declared(USERS, "Closed: number of virtual users; default 10.", default=None)
    rate: float | None = declared(RATE, "Open: arrival rate, per second.", default=None, examples=[100])
    start: float | None = declared(LEVEL, "Level at the start of the first stage; default 0.", default=None)
    stages: Sequence[Stage] | None = declared(
        ListOf(Nested(Stage), least=1), "Consecutive linear ramps instead of a constant level.", default=None
    )
    arrival: Literal["even", "poisson"] = declared(
        Choice("even", "poisson"), "Open: evenly spaced or random (Poisson) arrivals.", default="even"
    )
    warm_up: float = declared(Duration(), "Warm up for this long first; excluded from all results.", default=0.0)
    warm_up_level: float | None = declared(
        LEVEL,
        "Users or arrivals per second during warm-up; default: the initial level of the measured load.",
        default=None,
    )
    on_saturation: Literal["queue", "drop"] = declared(
        Choice("queue", "drop"),
        "Open: whether an arrival without a free user waits, or is dropped and counts as missed.",
        default="queue",
    )
    catch_up: Literal["full", "none"] = declared(
        Choice("full", "none"),
        "Open: after a stall of the load generator, start overdue arrivals late, or skip them.",
        default="full",
    )
    catch_up_max: float = declared(
        Duration(positive=True), "Open: arrivals later than this are skipped even with `catch_up: full`.", default=5.0
    )
    max_in_flight: int | None = declared(
        USERS,
        "Open: maximum of requests in flight; of scenarios, of iterations in progress, those that think included. "
        "Default: the engine's maximum.",
        default=None,
    )
    max_rate: float | None = declared(
        RATE,
        "Closed: maximum rate of all users together, in requests per second; of scenarios, in iterations.",
        default=None,
    )
