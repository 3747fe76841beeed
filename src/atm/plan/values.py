"""Values of `{{…}}` that an engine computes: variables of a user, columns of test data, functions, filters.

    value    = source *( "|" filter )
    source   = NAME | TABLE "." COLUMN | FUNCTION "(" [ argument *( "," argument ) ] ")"
    filter   = FILTER [ "(" argument ")" ]
    argument = quoted text | text without , ( ) |

Definitions for users: docs/reference/scenarios.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from typing import Literal, cast, get_args

from atm.dataclass import dataclass
from atm.models.duration import parse_duration
from atm.models.fields import Path
from atm.models.nearest import nearest
from atm.plan.program import DataTable, Slot
from atm.plan.template_parts import (
    DataSource,
    Filter,
    IterationSource,
    NowSource,
    RandomChoiceSource,
    RandomIntSource,
    RandomStringSource,
    SlotSource,
    Source,
    UserSource,
    UuidSource,
    ValuePart,
)

FILTERS: tuple[str, ...] = ("base64", "base64url", "sha256", "hmac_sha256", "url", "lower", "upper", "json", "raw")
FUNCTIONS = {
    "random_int": "random_int(1, 6)",
    "random_string": "random_string(12)",
    "random_choice": "random_choice(red, green)",
    "now": "now(+5m, unix)",
}
"""Each function with an example."""
SCENARIO_NAMES = ("user", "iteration")
_NowFormat = Literal["iso", "unix", "unix_ms", "date", "time"]
_FilterName = Literal["base64", "base64url", "sha256", "hmac_sha256", "url", "lower", "upper", "json"]
_CALL = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*\((.*)\)", re.DOTALL)
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'", re.DOTALL)
MOST_PLACES = 1 << 20
"""`randomness.draw_at`: places are below this."""
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}")
_LONGEST_RANDOM = 10_000


class ValueSyntaxError(Exception):
    """A value that cannot be read: message, hint, code."""

    def __init__(self, what: str, hint: str = "", code: str = "bad_template") -> None:
        super().__init__(what)
        self.hint = hint
        self.code = code


@dataclass(frozen=True, slots=True)
class Call:
    """A name with its arguments; None without parentheses."""

    name: str
    arguments: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ValueText:
    """The content of `{{…}}`, split."""

    source: Call
    filters: tuple[Call, ...] = ()
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """A place where a variable of the user is read."""

    slot: str
    path: Path
    detail: str = ""
    """Where in the text: `character 12`."""


@dataclass(slots=True)
class Places:
    """Hands out the places of random decisions, each once in a plan."""

    taken: int = 0

    def take(self, count: int = 1) -> int:
        """Return the first of `count` new places."""
        self.taken += count
        return self.taken - count


@dataclass(slots=True)
class Scope:
    """What the templates of one scenario can refer to beside the spec's variables."""

    places: Places
    slots: dict[str, Slot] = field(default_factory=dict)
    """In the order of their indices."""
    tables: tuple[DataTable, ...] = ()
    has_iteration: bool = True
    """Whether the templates belong to an iteration, and not to what a user does before its first one."""
    hidden_tables: tuple[str, ...] = ()
    """Names of tables that its templates cannot refer to, because their rows belong to users and iterations."""
    uses: list[Use] = field(default_factory=list)
    """Every reference to a slot so far, in the order of compilation."""
    _shared: dict[str, int] = field(default_factory=dict)

    def begin_request(self) -> None:
        """Give `{{uuid}}` and `{{random_int}}` new values; within a request all of them are equal."""
        self._shared.clear()

    def shared_place(self, name: str, count: int) -> int:
        """Return the place of a built-in in this request."""
        if name not in self._shared:
            self._shared[name] = self.places.take(count)
        return self._shared[name]

    def index(self, slot: str) -> int:
        """Return the index of a slot."""
        return list(self.slots).index(slot)

    def named(self, name: str, path: Path, detail: str) -> ValuePart | None:
        """Return the value of a slot, a column or a built-in of scenarios; None if there is none of this name."""
        if name in self.slots:
            self.uses.append(Use(name, path, detail))
            return ValuePart(SlotSource(self.index(name)), is_secret=self.slots[name].is_secret)
        table, dot, column = name.partition(".")
        if dot:
            return self._column(table, column)
        sources: dict[str, Source] = {"user": UserSource(), "iteration": IterationSource()}
        if name == "iteration" and not self.has_iteration:
            what = "{{iteration}} is not defined in before_user, which is no part of an iteration"
            raise ValueSyntaxError(what, "Use {{user}}: the number of the user, from 1", "no_iteration")
        if name in sources:
            return ValuePart(sources[name])
        if name == "uuid":
            return ValuePart(UuidSource(self.shared_place(name, 2)))
        if name == "random_int":
            return ValuePart(RandomIntSource(0, 999_999, self.shared_place(name, 1)))
        if name == "request_number":
            what = "{{request_number}} is not defined in a scenario, whose requests have no order over all users"
            hint = "Use {{iteration}}: the number of the iteration, from 1"
            raise ValueSyntaxError(what, hint, "no_request_number")
        return None

    def _column(self, name: str, column: str) -> ValuePart | None:
        from atm.plan.secret_names import is_sensitive

        if name in self.hidden_tables:
            what = f'the rows of "{name}" belong to the users and iterations of scenarios, and here is none'
            raise ValueSyntaxError(what, "Put the value into `variables`", "no_test_data")
        for index, table in enumerate(self.tables):
            if table.name != name:
                continue
            if not table.rows:
                # It could not be opened, which was reported.
                return ValuePart(DataSource(index, 0))
            if table.per == "iteration" and not self.has_iteration:
                what = f'before_user is no part of an iteration, and the data "{name}" has a row for each iteration'
                raise ValueSyntaxError(what, "Write `per: user` in its data, or `per: use`", "no_iteration")
            if column in table.columns:
                place = self.places.take() if table.per == "use" else 0
                source = DataSource(index, table.columns.index(column), place)
                return ValuePart(source, is_secret=is_sensitive(column))
            close = nearest(column, table.columns)
            hint = f"Did you mean {{{{{name}.{close[0]}}}}}? " if close else ""
            what = f'the data "{name}" has no column "{column}"'
            raise ValueSyntaxError(what, f"{hint}Columns: {', '.join(table.columns)}", "unknown_column")
        return None

    def names(self) -> Iterator[str]:
        """Yield every name, for hints."""
        yield from self.slots
        for table in self.tables:
            yield from (f"{table.name}.{column}" for column in table.columns)
        yield from SCENARIO_NAMES


def read_value(text: str) -> ValueText:
    """Split the content of `{{…}}`. Raises ValueSyntaxError on a filter that does not exist."""
    source, *filters = (part.strip() for part in split(text, "|"))
    calls = [_call(part) for part in filters]
    for call in calls:
        if call.name not in FILTERS:
            close = nearest(call.name.lower(), FILTERS)
            guess = f"Did you mean `{close[0]}`? " if close else ""
            what = f'"{call.name}" is not a filter'
            raise ValueSyntaxError(what, f"{guess}Filters: {', '.join(FILTERS)}", "unknown_filter")
        if (call.arguments is not None) != (call.name == "hmac_sha256"):
            what = f"the filter {call.name} takes {'a key' if call.name == 'hmac_sha256' else 'no argument'}"
            hint = "Write `hmac_sha256(env:KEY)`" if call.name == "hmac_sha256" else f"Write `{call.name}`"
            raise ValueSyntaxError(what, hint)
    raw = [index for index, call in enumerate(calls) if call.name == "raw"]
    if raw and raw != [len(calls) - 1]:
        raise ValueSyntaxError("raw must be the last filter", f"Move it: `{source} | … | raw`")
    return ValueText(_call(source), tuple(call for call in calls if call.name != "raw"), bool(raw))


def function_value(call: Call, places: Places) -> ValuePart:
    """Return the value of a function. Raises ValueSyntaxError on an unknown one or on wrong arguments."""
    arguments = [unquoted(argument) for argument in call.arguments or ()]
    if call.name == "random_int":
        numbers = [int(argument) for argument in arguments if _WHOLE.fullmatch(argument)]
        if len(numbers) == len(arguments) == 2 and numbers[0] <= numbers[1]:
            return ValuePart(RandomIntSource(numbers[0], numbers[1], places.take()))
    elif call.name == "random_string":
        if len(arguments) == 1 and arguments[0].isdecimal() and 1 <= int(arguments[0][:9]) <= _LONGEST_RANDOM:
            return ValuePart(RandomStringSource(int(arguments[0]), places.take()))
    elif call.name == "random_choice":
        if arguments:
            return ValuePart(RandomChoiceSource(tuple(arguments), places.take()))
    elif call.name == "now":
        return ValuePart(_now(arguments, call))
    elif call.name == "uuid" and not arguments:
        return ValuePart(UuidSource(places.take(2)))
    else:
        close = nearest(call.name.lower(), FUNCTIONS)
        guess = f"Did you mean `{FUNCTIONS[close[0]]}`? " if close else ""
        what = f'"{call.name}" is not a function'
        raise ValueSyntaxError(what, f"{guess}Functions: {', '.join(FUNCTIONS)}", "unknown_function")
    raise _wrong_arguments(call)


def _now(arguments: list[str], call: Call) -> NowSource:
    offset, kind = 0, "iso"
    for argument in arguments:
        if argument[:1] in ("+", "-"):
            try:
                offset = round(parse_duration(argument[1:]) * 1e9) * (-1 if argument[0] == "-" else 1)
            except ValueError:
                raise _wrong_arguments(call) from None
        elif argument in get_args(_NowFormat):
            kind = argument
        else:
            raise _wrong_arguments(call)
    if len(arguments) > 2:
        raise _wrong_arguments(call)
    return NowSource(offset, cast("_NowFormat", kind))


def _wrong_arguments(call: Call) -> ValueSyntaxError:
    given = f"{call.name}({', '.join(call.arguments or ())})"
    rules = {
        "random_int": "two whole numbers, the smaller first",
        "random_string": f"a length from 1 to {_LONGEST_RANDOM:,}",
        "random_choice": "at least one text",
        "now": "an offset that begins with + or -, and one of iso, unix, unix_ms, date, time",
        "uuid": "no arguments",
    }
    what = f"{given}: {call.name} takes {rules[call.name]}"
    return ValueSyntaxError(what, f"For example {{{{{FUNCTIONS.get(call.name, 'uuid')}}}}}", "bad_arguments")


def plain_filter(call: Call) -> Filter:
    """Return a filter without a key."""
    return Filter(cast("_FilterName", call.name))


def _call(text: str) -> Call:
    match = _CALL.fullmatch(text)
    if match is None:
        return Call(text)
    arguments = tuple(part.strip() for part in split(match[2], ","))
    return Call(match[1], () if arguments == ("",) else arguments)


def unquoted(text: str) -> str:
    """Return a text without its quotes and the backslashes in them."""
    if _QUOTED.fullmatch(text):
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    return text


def split(text: str, separator: str) -> Iterator[str]:
    """Split a text at each separator that is in no quotes and no parentheses."""
    start = position = depth = 0
    while position < len(text):
        character = text[position]
        if character in "\"'" and (quoted := _QUOTED.match(text, position)):
            position = quoted.end()
            continue
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == separator and depth <= 0:
            yield text[start:position]
            start = position + 1
        position += 1
    yield text[start:]
