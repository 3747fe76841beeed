"""How much load, in which model: the `load` of a spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from atm.models.field_types import Choice, Duration, ListOf, Nested, Number
from atm.models.fields import SpecModel, declared

USERS = Number(least=1, most=10_000_000, whole=True)
RATE = Number(above=0, most=1e9)
LEVEL = Number(least=0, most=1e9)


class Stage(SpecModel):
    """A linear ramp from the level before it to `target`; a duration of 0 jumps."""

    duration: float = declared(Duration(), "How long the ramp takes.", examples=["30s"])
    target: float = declared(LEVEL, "Users (closed) or arrivals per second (open) at its end.", examples=[100])


class LoadSpec(SpecModel):
    """The load of a test: users of a closed model, or arrivals per second of an open one."""

    synonyms: ClassVar[Mapping[str, str]] = {"concurrency": "users", "requests_per_second": "rate"}

    model: Literal["closed", "open"] | None = declared(
        Choice("closed", "open"),
        "closed: users are set and the rate results. open: the rate is set. Follows from `users` or `rate`.",
        default=None,
    )
    users: int | None = declared(USERS, "Closed: virtual users; default 10.", default=None)
    rate: float | None = declared(RATE, "Open: arrivals per second.", default=None, examples=[100])
    start: float | None = declared(LEVEL, "The level at which the first stage begins; default 0.", default=None)
    stages: Sequence[Stage] | None = declared(
        ListOf(Nested(Stage), least=1), "Linear ramps, one after the other, instead of a constant level.", default=None
    )
    arrival: Literal["even", "poisson"] = declared(
        Choice("even", "poisson"), "Open: arrivals evenly spaced, or at random (Poisson).", default="even"
    )
    warm_up: float = declared(
        Duration(), "Runs before the measured load, in addition to it, and is in none of its figures.", default=0.0
    )
    warm_up_level: float | None = declared(
        LEVEL, "Users or arrivals per second during warm-up; default: where the measured load begins.", default=None
    )
    on_saturation: Literal["queue", "drop"] = declared(
        Choice("queue", "drop"),
        "Open: an arrival that finds no free user waits, or is not sent and counts as missed.",
        default="queue",
    )
    catch_up: Literal["full", "none"] = declared(
        Choice("full", "none"),
        "Open: after a stall of the load generator itself, start late, or skip to the present.",
        default="full",
    )
    catch_up_max: float = declared(
        Duration(positive=True), "Open: what is later than this is skipped even with `catch_up: full`.", default=5.0
    )
    max_in_flight: int | None = declared(
        USERS, "Open: the limit of requests in flight; default: what the engine can.", default=None
    )
    max_rate: float | None = declared(
        RATE, "Closed: all users together start at most so many requests per second.", default=None
    )
