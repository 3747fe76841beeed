"""Scenarios: the journeys of a spec, and their steps. Meaning: docs/reference/scenarios.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from atm.models.auth import AUTH, AuthConfig
from atm.models.field_types import (
    Boolean,
    Choice,
    Duration,
    Kind,
    ListOf,
    MapOf,
    Nested,
    Number,
    Schema,
    Text,
    describe,
)
from atm.models.fields import Findings, Path, SpecModel, declared
from atm.models.load import RATE, LoadSpec
from atm.models.request import EXTRACTS, HEADERS, STATUSES, ExtractSpec, HeaderValue, RequestSpec
from atm.models.threshold_spec import THRESHOLDS, Thresholds

ON_FAIL = Choice("continue", "end_iteration", "stop_user", "stop_run")
OnFailWord = Literal["continue", "end_iteration", "stop_user", "stop_run"]
WEIGHT = Number(least=1, most=1_000_000, whole=True)
_TIMES = Number(least=1, most=1_000_000, whole=True)
_ABOUT_ON_FAIL = (
    "What follows a failure; default: `end_iteration` after a request without a response or without a value to "
    "extract, `continue` after a failed check."
)


class StepSpec(SpecModel):
    """One step of a scenario."""


_NO_STEP = StepSpec()
"""In place of a step that cannot be read, so that the paths of those after it stay right."""


class Steps(Kind):
    """A list of steps, each with exactly one action."""

    def __init__(self, *, least: int = 1) -> None:
        self._list = ListOf(_Step(), least=least)

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        return self._list.read(value, path, findings)

    def schema(self, definitions: Schema) -> Schema:
        return self._list.schema(definitions)

    def placeholder(self) -> tuple[StepSpec, ...]:
        return ()


class _Step(Kind):
    """One of the step models, selected by the key of its action."""

    def read(self, value: Any, path: Path, findings: Findings) -> Any:
        if isinstance(value, StepSpec):
            return value
        if not isinstance(value, Mapping):
            hint = "Write an action: `GET: /users`, `think: 2s`, `repeat: 3`"
            findings.add(path, f"a step must be an object, not {describe(value)}", "not_an_object", hint)
            return _NO_STEP
        actions = [str(key) for key, item in value.items() if key in ACTIONS and item is not None]
        if len(actions) != 1:
            self._report(value, actions, path, findings)
            return _NO_STEP
        return ACTIONS[actions[0]].read(value, path, findings)

    def _report(self, value: Mapping[str, Any], actions: list[str], path: Path, findings: Findings) -> None:
        if actions:
            keys = f"{', '.join(actions[:-1])} and {actions[-1]}"
            hint = "Make each a step of its own: a line that begins with `- `"
            findings.add(path, f"a step has one action, and this one has {keys}", "several_actions", hint)
            return
        from atm.models.nearest import nearest

        keys = ", ".join(str(key) for key in value) or "no keys"
        close = next((close for key in value for close in nearest(str(key), [*ACTIONS, *_SPELLINGS], cutoff=0.7)), None)
        meant = _SPELLINGS.get(close, close) if close else None
        guess = f"Did you mean `{meant}`? " if meant else ""
        hint = f"{guess}A step has one of: GET, POST, …, url, think, repeat, while, when, choose, use, call"
        findings.add(path, f"this step has no action, only {keys}", "no_action", hint)

    def schema(self, definitions: Schema) -> Schema:
        from atm.models.schema import reference

        models = dict.fromkeys(ACTIONS.values())
        definitions.setdefault("Step", {"anyOf": [reference(model, definitions) for model in models]})
        return {"$ref": "#/$defs/Step"}


class RequestStep(RequestSpec, StepSpec):
    """A step that sends a request."""

    name: str | None = declared(
        Text(1, 100),
        "Name, shown in reports as `scenario/name`; default: method and URL as written.",
        default=None,
        examples=["list"],
    )
    extract: dict[str, str | ExtractSpec] = declared(
        EXTRACTS,
        "Variables from the response: name and source.",
        default={},
        examples=[{"product": "$.items[*].id | random", "location": "header Location"}],
    )
    on_fail: OnFailWord | None = declared(ON_FAIL, _ABOUT_ON_FAIL, default=None)


class ThinkStep(StepSpec):
    """A step that waits, as a person does between two requests."""

    think: str = declared(
        Text(1),
        "How long: fixed, evenly distributed, exponential (mean), or normal (mean, standard deviation); at most 1 h.",
        examples=["2s", "1s..4s", "exp(3s)", "normal(3s, 1s)"],
    )


class RepeatStep(StepSpec):
    """A step that runs its steps a fixed number of times."""

    repeat: int = declared(_TIMES, "Number of rounds.", examples=[3])
    steps: Sequence[StepSpec] = declared(Steps(), "The steps of a round.")


class WhileStep(StepSpec):
    """A step that runs its steps as long as a condition is true."""

    keywords: ClassVar[Mapping[str, str]] = {"condition": "while"}

    condition: str = declared(
        Text(1), "Judged before each round; it may use variables, data and functions.", examples=["cursor exists"]
    )
    at_most: int = declared(_TIMES, "Number of rounds after which it ends in any case.", examples=[20])
    steps: Sequence[StepSpec] = declared(Steps(), "The steps of a round.")


class WhenStep(StepSpec):
    """A step that runs its steps only if a condition is true."""

    keywords: ClassVar[Mapping[str, str]] = {"condition": "when"}
    synonyms: ClassVar[Mapping[str, str]] = {"else": "otherwise", "then": "steps"}

    condition: str = declared(Text(1), "It may use variables, data and functions.", examples=["stock > 0"])
    steps: Sequence[StepSpec] = declared(Steps(), "The steps if it is true.")
    otherwise: Sequence[StepSpec] = declared(Steps(), "The steps if it is not.", default=())


class Branch(SpecModel):
    """One of the branches that `choose` draws from."""

    weight: int = declared(WEIGHT, "Relative share.", default=1)
    steps: Sequence[StepSpec] = declared(Steps(least=0), "The steps of the branch; it may have none.")


class ChooseStep(StepSpec):
    """A step that runs one of several branches, drawn by weight in each iteration."""

    choose: Sequence[Branch] = declared(ListOf(Nested(Branch), least=1), "The branches.")


class CallStep(StepSpec):
    """A step that calls a function of the file that `hooks` names."""

    call: str = declared(Text(1), "The name of the function, which gets the user.", examples=["sign"])
    sets: Sequence[str] = declared(
        ListOf(Text(1), single=True),
        "Variables that the function sets; if one is unset afterwards, the iteration fails.",
        default=(),
        examples=[["token"]],
    )


class UseStep(StepSpec):
    """A step that runs the steps of a block."""

    use: str = declared(Text(1), "The name of a block under `blocks`.", examples=["login"])


ACTIONS: dict[str, type[SpecModel]] = {
    **dict.fromkeys((*RequestSpec.shorts, "url"), RequestStep),
    "think": ThinkStep,
    "repeat": RepeatStep,
    "while": WhileStep,
    "when": WhenStep,
    "choose": ChooseStep,
    "use": UseStep,
    "call": CallStep,
}
"""The key of each action, and its model."""
_SPELLINGS = {
    **{method.lower(): method for method in RequestSpec.shorts},
    "if": "when",
    "loop": "repeat",
    "sleep": "think",
    "wait": "think",
    "pause": "think",
    "random": "choose",
    "include": "use",
    "block": "use",
    "request": "url",
    "function": "call",
    "python": "call",
    "hook": "call",
}


class ScenarioSpec(SpecModel):
    """A journey: what one user does in one iteration."""

    synonyms: ClassVar[Mapping[str, str]] = {"requests": "steps", "flow": "steps", "sessions": "session"}

    steps: Sequence[StepSpec] = declared(Steps(), "What an iteration does, in order.", default=())
    code: str | None = declared(
        Text(1),
        "Instead of `steps`: a function in a Python file that is an iteration, as `FILE.py:FUNCTION`.",
        default=None,
        examples=["shop.py:checkout"],
    )
    on_exception: Literal["continue", "stop_user", "stop_run"] | None = declared(
        Choice("continue", "stop_user", "stop_run"),
        "What follows an exception in Python code, which fails its iteration; default: the spec's.",
        default=None,
    )
    before_user: Sequence[StepSpec] = declared(
        Steps(),
        "What each user does once, before its first iteration, as logging in; its requests have figures of their own, "
        "apart from those of the run. Its variables and cookies stay with the user.",
        default=(),
    )
    prepared_users: int | None = declared(
        Number(least=1, most=1_000_000, whole=True),
        "Open load with `before_user`: number of users that are kept prepared, and so the most iterations at once; "
        "default: the peak rate times the longest an iteration takes by its think times and 1 s for each request.",
        default=None,
    )
    prepare_rate: float | None = declared(
        RATE,
        "Open load with `before_user`: how many users begin to prepare per second, at most; default 10.",
        default=None,
    )
    prepare_time: float | None = declared(
        Duration(),
        "Open load with `before_user`: how long before the load users begin to prepare; default: the time in which all "
        "begin at `prepare_rate`, and 5 s for the last ones to finish.",
        default=None,
        examples=["30s"],
    )
    load: LoadSpec | None = declared(
        Nested(LoadSpec), "Load of this scenario alone; without it, a share of the spec's.", default=None
    )
    weight: int = declared(
        WEIGHT, "Relative share of the spec's load: of its arrivals or users, and of its total.", default=1
    )
    duration: float | None = declared(
        Duration(positive=True),
        "Duration of its own measured load; default: up to the end of the spec's `duration`.",
        default=None,
    )
    start_after: str | None = declared(
        Text(1),
        "When its own load begins: a time after the start of the run, or the name of a scenario, after whose planned "
        "end it begins.",
        default=None,
        examples=["30s", "browse"],
    )
    headers: dict[str, HeaderValue] = declared(
        HEADERS, "Headers of every request of the scenario, which override the spec's.", default={}
    )
    auth: AuthConfig | None = declared(AUTH, "Credentials; default: the spec's; `{type: none}` for none.", default=None)
    timeout: float | None = declared(Duration(positive=True), "Request timeout; default: the spec's.", default=None)
    expected_status_codes: Sequence[int | str] | None = declared(
        STATUSES, "Status codes that count as ok; default: the spec's.", default=None
    )
    thresholds: Thresholds = declared(
        THRESHOLDS,
        "Thresholds for this scenario only.",
        default=Thresholds(),
        examples=[["iteration p95 < 6s", "error_rate < 1%"]],
    )
    on_fail: OnFailWord | None = declared(ON_FAIL, f"Of every step. {_ABOUT_ON_FAIL}", default=None)
    pace: float | None = declared(
        Duration(positive=True),
        "Closed load: a user starts an iteration at most this often.",
        default=None,
        examples=["30s"],
    )
    session: Literal["keep", "new"] | None = declared(
        Choice("keep", "new"),
        "Whether variables and cookies stay with the user after an iteration; default: `keep` in a closed load "
        "and with `before_user`, `new` in an open one.",
        default=None,
    )
    cookies: bool = declared(Boolean(), "Users store cookies and send them back.", default=True)


BLOCKS = MapOf(Steps())
SCENARIOS = MapOf(Nested(ScenarioSpec))
