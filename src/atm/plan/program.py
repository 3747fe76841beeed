"""The program of a scenario: what a virtual user does in one iteration, in a form that every engine runs alike.

A flow with a program runs its operations instead of its steps in order. Values live in numbered slots of the user;
JSON values keep their type. Every random decision is a function of (seed, iteration, place, round), see
`randomness.draw_at`: a place is unique in the plan, a round is the number of backward jumps so far in the iteration.

Definitions for users: docs/reference/scenarios.md.
"""

from __future__ import annotations

from typing import Any, Literal

from atm.dataclass import dataclass
from atm.models.outline import CheckName as CheckName
from atm.plan.template_parts import Part, Template, ValuePart

Pick = Literal["first", "last", "random", "all", "count"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a condition compares or an extract reads.

    `status` is a number, `time` the response time so far in ns, `size` the body's length in bytes. `header` and
    `cookie` (set by this response) are named by `text`; `body` is the decoded text; `json` is the JSONPath `text`
    (RFC 9535) and `regex` the expression `text` (group 1, else the match), both on the body. `value` is `value`.
    A subject has no value if there is no such header, cookie, match or variable, or if the body is not JSON.
    """

    kind: Literal["status", "time", "size", "header", "cookie", "body", "json", "regex", "value"]
    text: str = ""
    pick: Pick = "first"
    """Of several headers or matches. `count` is a number, also 0: for a JSONPath of names and indices alone, the length
    of the array that it selects. `all` is a JSON array, also an empty one."""
    place: int = 0
    """For `random`."""
    value: ValuePart | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A condition on one subject. Without a value of the subject it is false, except for `missing`."""

    subject: Subject
    operator: Literal[
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "in",
        "not_in",
        "exists",
        "missing",
        "contains",
        "not_contains",
        "matches",
        "not_matches",
        "conforms",
    ]
    operand: Any = None
    """A JSON value; a list for `in` and `not_in`; a pattern for `matches`; a JSON Schema for `conforms`."""
    template: Template | None = None
    """Instead of `operand`, a text that may contain values."""
    condition: Literal["comparison"] = "comparison"


@dataclass(frozen=True, slots=True)
class All:
    """True if every part is."""

    parts: tuple[Condition, ...]
    condition: Literal["all"] = "all"


@dataclass(frozen=True, slots=True)
class Either:
    """True if at least one part is."""

    parts: tuple[Condition, ...]
    condition: Literal["either"] = "either"


@dataclass(frozen=True, slots=True)
class Negation:
    """True if its part is not."""

    part: Condition
    condition: Literal["negation"] = "negation"


Condition = Comparison | All | Either | Negation


def condition_parts(condition: Condition) -> tuple[Part, ...]:
    """Return the template parts that a condition is judged with."""
    if isinstance(condition, Comparison):
        value = condition.subject.value
        return (*((value,) if value else ()), *(condition.template or ()))
    if isinstance(condition, Negation):
        return condition_parts(condition.part)
    return tuple(part for inner in condition.parts for part in condition_parts(inner))


@dataclass(frozen=True, slots=True)
class Check:
    """A named condition on a response. Each full response is one evaluation."""

    check: int
    """Index into `LoadPlan.checks`."""
    condition: Condition
    text: str
    """The condition as written, for messages."""
    counts_only: bool = False
    """A failure is counted, and the request stays ok."""


@dataclass(frozen=True, slots=True)
class Extract:
    """Puts a value of a full response into a slot. Without a value, the slot keeps nothing of earlier responses."""

    slot: int
    subject: Subject
    text: str
    """The subject as written, for messages."""
    has_default: bool = False
    """Without a value in the response, the slot gets `default`; else the request fails and the slot is unset."""
    default: Any = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A variable of a user: unset, text, or a JSON value."""

    name: str
    is_secret: bool = False
    """Shown as *** in samples."""


OnFail = Literal["continue", "end_iteration", "stop_user", "stop_run"]


@dataclass(frozen=True, slots=True)
class RequestOp:
    """Send a step of the flow, and wait for its end."""

    step: int
    """Index into the flow's steps."""
    on_error: OnFail = "end_iteration"
    """After a request without a full response, or a missing extract without a default."""
    on_fail: OnFail = "continue"
    """After a full response that failed otherwise: unexpected status, failed check."""
    op: Literal["request"] = "request"


@dataclass(frozen=True, slots=True)
class ThinkOp:
    """Wait, without a request.

    `fixed`: first_ns; `uniform`: first_ns to second_ns; `exponential`: mean first_ns; `normal`: mean first_ns,
    standard deviation second_ns, never below 0. At most one hour.
    """

    distribution: Literal["fixed", "uniform", "exponential", "normal"]
    first_ns: int
    second_ns: int = 0
    place: int = 0
    """Of two draws, `place` and `place + 1`."""
    op: Literal["think"] = "think"


@dataclass(frozen=True, slots=True)
class JumpOp:
    """Continue at operation `to`, which is later in the program."""

    to: int
    op: Literal["jump"] = "jump"


@dataclass(frozen=True, slots=True)
class UnlessOp:
    """Continue at operation `to`, which is later, unless the condition is true. Its subjects are values only."""

    condition: Condition
    to: int
    op: Literal["unless"] = "unless"


@dataclass(frozen=True, slots=True)
class LoopOp:
    """Add 1 to a counter; below `times`, jump back to `to` and begin a new round, else set the counter to 0."""

    counter: int
    times: int
    to: int
    op: Literal["loop"] = "loop"


@dataclass(frozen=True, slots=True)
class ChooseOp:
    """Continue at one of several later operations, drawn by weight."""

    weights: tuple[int, ...]
    to: tuple[int, ...]
    place: int
    op: Literal["choose"] = "choose"


@dataclass(frozen=True, slots=True)
class CallOp:
    """Call a function of the file of `LoadPlan.hooks` with the user. An exception fails the iteration."""

    function: str
    sets: tuple[int, ...] = ()
    """Slots that the function must have set."""
    op: Literal["call"] = "call"


Op = RequestOp | ThinkOp | JumpOp | UnlessOp | LoopOp | ChooseOp | CallOp


@dataclass(frozen=True, slots=True)
class DataTable:
    """Rows of test data, in a table file (`tables/table_file.py`) that every engine maps into memory."""

    name: str
    columns: tuple[str, ...]
    rows: int
    per: Literal["user", "iteration", "use"]
    """Whose 1-based number selects the row. `use`: each place of a value draws a row of its own, see `DataSource`."""
    pick: Literal["in_order", "shuffled", "random"]
    """`randomness.row_of`. After the last row, `in_order` and `shuffled` begin again, unless the lane ends first."""
    path: str
    """The table file."""
