"""Compile `hooks`: a Python file whose functions are called for the users of scenarios with steps, and of endpoints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from pathlib import PurePath

from atm.dataclass import dataclass
from atm.errors import DataError
from atm.models.fields import Findings, Path
from atm.models.nearest import listed, nearest
from atm.models.own_metric import OwnMetric
from atm.models.scenario import CallStep
from atm.models.spec import TestSpec
from atm.plan.code_scenarios import code_refused
from atm.plan.load import nanoseconds
from atm.plan.load_plan import CodeHooks
from atm.plan.own_metrics import OwnMetrics
from atm.plan.program import DataTable, Slot
from atm.plan.secret_names import is_sensitive
from atm.plan.templates import SETUP_SLOT, Names

SETUP_FUNCTION = "setup"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_ABOUT_CALL = "Add `hooks: FILE.py` to the spec; `call` names a function of that file"


@dataclass(frozen=True, slots=True)
class SetVariables:
    """The names of variables that a function of a file writes to: `user.variables["token"] = …`."""

    function: str
    of_user: tuple[str, ...] = ()
    of_run: tuple[str, ...] = ()
    """Those of the context that `setup` gets."""
    secrets_of_run: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HookFile:
    """A Python file with hooks that was loaded."""

    file: str
    """Absolute path."""
    digest: str
    hooks: tuple[tuple[str, str], ...]
    """Each hook that it has, and the name of its function."""
    functions: tuple[tuple[str, str], ...]
    """Each function that a step could call, with why it cannot be called with a user; empty where it can."""
    sets: tuple[SetVariables, ...] = ()
    data: tuple[str, ...] = ()
    """Names of the test data that the file uses."""
    metrics: tuple[OwnMetric, ...] = ()
    """The metrics that the file declares."""
    misspelled: tuple[tuple[str, str, str], ...] = ()
    """Functions that are no hook, but nearly called like one: place, name, hook."""

    def set_by(self, function: str) -> tuple[str, ...]:
        """Return the variables of the user that a function writes to."""
        return tuple(name for assignment in self.sets if assignment.function == function for name in assignment.of_user)


OpenHooks = Callable[[str], HookFile]
"""Loads `FILE.py`. Raises DataError with what is wrong with the file."""


@dataclass(slots=True)
class CodeHooksOfSpec:
    """The file of a spec's `hooks`, for everything that is compiled: None without one, or if it cannot be loaded."""

    spec: TestSpec
    names: Names
    notes: Findings
    open_hooks: OpenHooks | None
    file: HookFile | None = field(init=False, default=None)
    secrets: dict[str, str] = field(default_factory=dict)
    """Slot to value, of the secret variables that the functions can read."""
    _called: set[str] = field(default_factory=set)
    _of_steps: frozenset[str] = frozenset()
    """The values that `setup` steps extract."""

    def __post_init__(self) -> None:
        text = self.spec.hooks
        if text is None:
            return
        try:
            if self.open_hooks is None:
                raise code_refused()
            self.file = self.open_hooks(text)
        except DataError as error:
            for problem in error.problems:
                place = f"{problem.place}: " if problem.place else ""
                self._report(f"{place}{problem.what}", problem.code, problem.hint)
        if self.spec.engine == "native":
            what = "the native engine runs no Python code, and the spec has hooks"
            self.names.findings.add(("engine",), what, "conflict", "Write `engine: asyncio`, or leave it out")

    def _report(self, what: str, code: str, hint: str) -> None:
        self.names.findings.add(("hooks",), what, code, hint)

    @property
    def function_of(self) -> dict[str, str]:
        """The function of each hook that the file has."""
        return dict(self.file.hooks) if self.file else {}

    def extend_setup_values(self) -> None:
        """Make what `setup` of the file sets known to all templates that are compiled later."""
        self._of_steps = frozenset(self.names.setup_values)
        self.names.setup_values = {**self.names.setup_values, **self.setup_slots}

    @property
    def setup_slots(self) -> dict[str, Slot]:
        """The variables that `setup` of the file sets, which are values of the run like those of `setup` steps."""
        slots: dict[str, Slot] = {}
        for assignment in self.file.sets if self.file and SETUP_FUNCTION in self.function_of else ():
            for name in (*assignment.of_run, *assignment.secrets_of_run):
                if name in self.spec.variables or name in self._of_steps:
                    other = "one of the variables of the spec" if name in self.spec.variables else "a value of setup"
                    what = f'"{name}" is set by {assignment.function} in the file and is also {other}'
                    self._report(what, "duplicate_name", "Give one of them another name")
                elif _VARIABLE.fullmatch(name):
                    slots[name] = Slot(name, name in assignment.secrets_of_run or is_sensitive(name))
        return slots

    def user_slots(self, taken: Iterable[str], steps: Iterable[CallStep]) -> dict[str, Slot]:
        """Return a slot for each variable of users that functions set, without those that are taken."""
        names = dict.fromkeys(name for assignment in self.file.sets for name in assignment.of_user) if self.file else {}
        names |= dict.fromkeys(name for step in steps for name in step.sets)
        reserved = {*taken, *self.spec.variables, *self.names.setup_values}
        return {
            name: Slot(name, is_sensitive(name)) for name in names if name not in reserved and _VARIABLE.fullmatch(name)
        }

    @property
    def set_at_start(self) -> tuple[str, ...]:
        """The variables that every user has from its beginning."""
        start = self.function_of.get("user_start")
        return self.file.set_by(start) if self.file and start else ()

    @property
    def set_for_requests(self) -> tuple[str, ...]:
        """The variables that hooks set which every request calls, and what they call may set."""
        is_called = {"before_request", "after_response"} & self.function_of.keys()
        return self.set_any_time if is_called else ()

    @property
    def set_any_time(self) -> tuple[str, ...]:
        """The variables that any function of the file sets."""
        return tuple(name for assignment in self.file.sets for name in assignment.of_user) if self.file else ()

    def check_call(self, step: CallStep, path: Path) -> None:
        """Report a step that names no function, or one that a step cannot call."""
        self._called.add(step.call)
        findings = self.names.findings
        for index, name in enumerate(step.sets):
            taken = name in self.spec.variables or name in self.names.setup_values
            if taken or not _VARIABLE.fullmatch(name):
                what = f'"{name[:80]}" cannot be a variable of the user'
                why = (
                    "The spec has a value of this name; use another" if taken else "Use letters, digits and underscores"
                )
                findings.add((*path, "sets", index), what, "duplicate_name" if taken else "bad_name", why)
        if self.spec.hooks is None:
            findings.add((*path, "call"), "the spec has no hooks, so there is nothing to call", "no_hooks", _ABOUT_CALL)
        if self.file is None:
            return
        functions = dict(self.file.functions)
        problem = functions.get(step.call)
        if problem is None:
            close = nearest(step.call, functions)
            guess = f"Did you mean `{close[0]}`? " if close else ""
            names = listed(name for name, why in functions.items() if not why) or "none"
            what = f'the file of hooks has no function "{step.call}"'
            findings.add((*path, "call"), what, "code_not_found", f"{guess}It has: {names}")
        elif problem:
            hint = f"Write `def {step.call}(user):`, or `async def`"
            findings.add((*path, "call"), problem, "bad_code", hint)

    def tables_of(self, tables: Sequence[DataTable]) -> tuple[int, ...]:
        """Return the indices of the tables that the file uses."""
        names = self.file.data if self.file else ()
        return tuple(index for index, table in enumerate(tables) if table.name in names)

    def compiled(self, own_metrics: OwnMetrics) -> CodeHooks | None:
        """Return what the engine needs, once everything else is compiled."""
        file = self.file
        if file is None:
            return None
        own_metrics.add(file.metrics, PurePath(file.file).name, ("hooks",))
        self._note_misspelled(file)
        plain, secrets = self._values()
        return CodeHooks(
            file.file,
            file.digest,
            file.hooks,
            tuple(plain.items()),
            tuple(secrets.items()),
            tuple(self.setup_slots.values()),
            self._base_url,
            nanoseconds(self.spec.teardown_timeout),
        )

    @property
    def _base_url(self) -> str:
        """The base_url without its credentials; empty if it differs per request."""
        if self.spec.base_url is None:
            return ""
        pieces = self.names.pieces(self.spec.base_url, ("base_url",), secrets=False)
        return (
            ""
            if any(piece.variable or not self.names.may_be_shown(piece) for piece in pieces)
            else "".join(piece.text for piece in pieces)
        )

    def _note_misspelled(self, file: HookFile) -> None:
        for place, name, hook in file.misspelled:
            if name not in self._called:
                what = f'{place}: the function "{name}" is no hook, and no step calls it'
                self.notes.add(("hooks",), what, "unused_function", f"Did you mean `{hook}`?")
        if not file.hooks and not self._called and not file.misspelled:
            what = "the file has no hook, and no step calls one of its functions"
            self.notes.add(
                ("hooks",), what, "unused_function", "Write for example `def before_request(request, user):`"
            )

    def _values(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the spec's variables with fixed values, and the slots of those that are secret."""
        plain: dict[str, str] = {}
        secrets = {name: f"{SETUP_SLOT}{name}" for name, slot in self.names.setup_values.items() if slot.is_secret}
        for name in self.spec.variables:
            pieces = self.names.pieces(f"{{{{{name}}}}}", ("variables", name))
            if any(piece.variable for piece in pieces):
                continue
            text = "".join(piece.text for piece in pieces)
            if any(piece.secret or piece.slot for piece in pieces):
                secrets[name] = f"hooks.{name}"
                self.secrets[secrets[name]] = text
            else:
                plain[name] = text
        return plain, secrets
