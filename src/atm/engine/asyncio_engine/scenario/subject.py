"""Subjects: what conditions compare and extracts read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from atm.engine.asyncio_engine.scenario.answer import Answer
from atm.engine.asyncio_engine.scenario.cookies import name_and_value
from atm.engine.asyncio_engine.scenario.scope import Context, Scope
from atm.engine.asyncio_engine.scenario.template import value_of
from atm.engine.asyncio_engine.scenario.value import UNSET, Value
from atm.plan import json_paths, patterns
from atm.plan.program import Subject
from atm.plan.randomness import below, draw_at
from atm.plan.template_parts import SlotSource

MOST_MATCHES = 10_000
"""Matches of a regular expression in one body that are read; later ones are ignored, in both engines."""

ReadSubject = Callable[[Answer, Scope], Value]
"""Returns the value of a subject, or UNSET."""

_Pick = Callable[[Iterator[Value], Scope], Value]


def subject_of(subject: Subject, context: Context) -> ReadSubject:
    """Return the function that reads a subject. Raises PatternError or JsonPathError if the plan is not valid."""
    if subject.kind == "value":
        return _value_of(subject, context)
    if subject.kind == "header":
        return _header_of(subject, context)
    if subject.kind == "cookie":
        name = subject.text
        return lambda answer, _scope: _cookie(answer.head.all("set-cookie"), name)
    if subject.kind == "json":
        return _json_of(subject, context)
    if subject.kind == "regex":
        return _regex_of(subject, context)
    return _PLAIN[subject.kind]


_PLAIN: dict[str, ReadSubject] = {
    "status": lambda answer, _scope: answer.status,
    "time": lambda answer, _scope: answer.time_ns,
    "size": lambda answer, _scope: answer.size,
    "body": lambda answer, _scope: UNSET if answer.text is None else answer.text,
}


def _value_of(subject: Subject, context: Context) -> ReadSubject:
    if subject.value is None:
        raise ValueError("a subject of the kind `value` has no value")
    read = value_of(subject.value, context)
    if subject.value.filters and isinstance(subject.value.source, SlotSource):
        slot = subject.value.source.slot
        return lambda _answer, scope: UNSET if scope.slots[slot] is UNSET else read(scope)
    return lambda _answer, scope: read(scope)


def _header_of(subject: Subject, context: Context) -> ReadSubject:
    name, pick = subject.text.lower(), _pick_of(subject, context.seed)
    return lambda answer, scope: pick(iter(answer.head.all(name)), scope)


def _json_of(subject: Subject, context: Context) -> ReadSubject:
    nodes, pick = json_paths.compiled(subject.text), _pick_of(subject, context.seed)
    if subject.pick == "count" and json_paths.selects_one(subject.text):
        pick = _length

    def read(answer: Answer, scope: Scope) -> Value:
        document = answer.document
        return UNSET if document is UNSET else pick(nodes(document), scope)

    return read


def _regex_of(subject: Subject, context: Context) -> ReadSubject:
    pattern, pick = patterns.compiled(subject.text), _pick_of(subject, context.seed)

    def read(answer: Answer, scope: Scope) -> Value:
        content = answer.utf8
        return UNSET if content is None else pick(islice(_matches(pattern, content), MOST_MATCHES), scope)

    return read


def _matches(pattern: Any, content: bytes) -> Iterator[str]:
    """Yield group 1 of each match, or the whole match if that did not take part.

    A match begins at or after the end of the one before; an empty match directly after another is none (as in Rust).
    """
    has_group = pattern.groups > 0
    at, last_end, length = 0, -1, len(content)
    while at <= length:
        match = pattern.search(content, at)
        if match is None:
            return
        start, end = match.span()
        if start == end == last_end:
            at = _next_character(content, end)
            continue
        group = match.group(1) if has_group else None
        yield (match.group() if group is None else group).decode()
        at = last_end = end


def _next_character(content: bytes, at: int) -> int:
    at += 1
    while at < len(content) and content[at] & 0xC0 == 0x80:
        at += 1
    return at


def _cookie(lines: Sequence[str], name: str) -> Value:
    """Return the value that the last Set-Cookie line with this name sets."""
    for line in reversed(lines):
        pair = name_and_value(line)
        if pair is not None and pair[0] == name:
            return pair[1]
    return UNSET


def _pick_of(subject: Subject, seed: int) -> _Pick:
    if subject.pick == "random":
        return _random_of(seed, subject.place)
    return _PICKS[subject.pick]


def _random_of(seed: int, place: int) -> _Pick:
    def pick(values: Iterator[Value], scope: Scope) -> Value:
        every = list(values)
        return every[below(draw_at(seed, scope.iteration, place, scope.round), len(every))] if every else UNSET

    return pick


def _last(values: Iterator[Value], _scope: Scope) -> Value:
    last = deque(values, maxlen=1)
    return last[0] if last else UNSET


def _length(values: Iterator[Value], _scope: Scope) -> Value:
    """Return the length of the only value if it is an array, else the number of values (0 or 1)."""
    only = next(values, UNSET)
    if isinstance(only, list):
        return len(only)
    return 0 if only is UNSET else 1


_PICKS: dict[str, _Pick] = {
    "first": lambda values, _scope: next(values, UNSET),
    "last": _last,
    "all": lambda values, _scope: list(values),
    "count": lambda values, _scope: sum(1 for _ in values),
}
