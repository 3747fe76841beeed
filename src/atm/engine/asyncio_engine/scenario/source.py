"""The sources of values: variables, test data, and functions of the iteration."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from atm.engine.asyncio_engine.scenario.scope import Context, Scope
from atm.engine.asyncio_engine.scenario.value import Value
from atm.plan.randomness import below, draw_at, random_string, uuid4_at
from atm.plan.template_parts import (
    DataSource,
    IterationSource,
    NowSource,
    RandomChoiceSource,
    RandomIntSource,
    RandomStringSource,
    SlotSource,
    Source,
    TextSource,
    UserSource,
    UuidSource,
)

Read = Callable[[Scope], Value]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_NS = -62_135_596_800_000_000_000
"""0001-01-01, the first date that can be written."""
_LAST_NS = 253_402_300_799_999_999_999
"""The end of 9999-12-31."""


def source_of(source: Source, context: Context) -> Read:
    """Return the function that reads a source for a user. Values of slots and of test data keep their type."""
    if isinstance(source, SlotSource):
        slot = source.slot
        return lambda scope: scope.slots[slot]
    if isinstance(source, DataSource):
        table, column, place = source.table, source.column, source.place
        return lambda scope: scope.cell(table, column, place)
    if isinstance(source, UserSource):
        return lambda scope: str(scope.user)
    if isinstance(source, IterationSource):
        return lambda scope: str(scope.iteration)
    if isinstance(source, NowSource):
        return _now_of(source, context)
    if isinstance(source, TextSource):
        return _text_of(source, context)
    return _random_of(source, context.seed)


def now_text(wall_ns: int, form: str) -> str:
    """Write a wall time (ns since 1970) in a format of `NowSource`, in UTC. Years are 1 to 9999."""
    if form == "unix":
        return str(wall_ns // 1_000_000_000)
    if form == "unix_ms":
        return str(wall_ns // 1_000_000)
    moment = _EPOCH + timedelta(microseconds=min(max(wall_ns, _FIRST_NS), _LAST_NS) // 1000)
    if form == "date":
        return moment.date().isoformat()
    return moment.time().isoformat("seconds") if form == "time" else moment.isoformat(timespec="microseconds")


def _now_of(source: NowSource, context: Context) -> Read:
    wall_ns, offset_ns, form = context.wall_ns, source.offset_ns, source.format
    return lambda _scope: now_text(wall_ns() + offset_ns, form)


def _text_of(source: TextSource, context: Context) -> Read:
    if source.secret_slot:
        return lambda _scope: context.secrets[source.secret_slot]
    return lambda _scope: source.text


def _random_of(source: UuidSource | RandomIntSource | RandomStringSource | RandomChoiceSource, seed: int) -> Read:
    place = source.place
    if isinstance(source, UuidSource):
        return lambda scope: uuid4_at(seed, scope.iteration, place, scope.round)
    if isinstance(source, RandomIntSource):
        low, count = source.low, source.high - source.low + 1
        return lambda scope: str(low + below(draw_at(seed, scope.iteration, place, scope.round), count))
    if isinstance(source, RandomStringSource):
        length = source.length
        return lambda scope: random_string(draw_at(seed, scope.iteration, place, scope.round), length)
    choices = source.choices
    return lambda scope: choices[below(draw_at(seed, scope.iteration, place, scope.round), len(choices))]
