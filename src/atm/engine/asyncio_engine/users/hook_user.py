"""What hooks see of a user: its variables, which templates read, and what else the engine does for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, MutableMapping
from random import Random
from typing import Any, NoReturn

from atm.code.user import Call
from atm.code.user import User as UserOfCode
from atm.dataclass import dataclass
from atm.engine.asyncio_engine.scenario.cookies import Jar
from atm.engine.asyncio_engine.scenario.value import UNSET, Value
from atm.engine.asyncio_engine.users.session import Session
from atm.models.outcome import StopReason
from atm.plan.json_values import is_json
from atm.plan.load_plan import LoadPlan
from atm.plan.randomness import draw_at

RANDOM_PLACE = 1 << 20
"""Beyond the places of random values in a plan."""
_TEMPLATES = "templates write texts, numbers, true, false, null, lists and dictionaries"


class UserVariables(MutableMapping[str, Any]):
    """The variables of a user: those that templates read are in its slots, others are kept for hooks alone."""

    __slots__ = ("_constants", "_own", "_slots", "session")

    def __init__(self, constants: Mapping[str, Any]) -> None:
        """`constants` is what every user can read."""
        self._constants = constants
        self._own: dict[str, Any] = {}
        self._slots: Mapping[str, int] = {}
        self.session: Session | None = None

    def enter(self, session: Session, slots: Mapping[str, int]) -> None:
        """Use the slots of a session, by the names of its flow."""
        self.session = session
        self._slots = slots

    def __getitem__(self, name: str) -> Any:
        slot = self._slots.get(name)
        if slot is not None:
            assert self.session is not None
            value = self.session.slots[slot]
            if value is not UNSET:
                return value
        elif name in self._own:
            return self._own[name]
        return self._constants[name]

    def __setitem__(self, name: str, value: Any) -> None:
        slot = self._slots.get(name)
        if slot is None:
            self._own[name] = value
        else:
            assert self.session is not None
            self.session.slots[slot] = _json_value(name, value)

    def __delitem__(self, name: str) -> None:
        slot = self._slots.get(name)
        if slot is None:
            del self._own[name]
        else:
            assert self.session is not None
            self.session.slots[slot] = UNSET

    def __iter__(self) -> Iterator[str]:
        slots = [] if self.session is None else self.session.slots
        set_names = [name for name, slot in self._slots.items() if slots[slot] is not UNSET]
        return iter(dict.fromkeys((*set_names, *self._own, *self._constants)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"{dict(self)!r}"


def _json_value(name: str, value: Any) -> Value:
    if type(value) in (str, int, bool) or value is None:
        return value
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, float | str | int | list | dict) and is_json(value):
        return value
    what = f'the variable "{name}" got {type(value).__name__}, and templates read it: {_TEMPLATES}'
    raise TypeError(what)


@dataclass(slots=True)
class HookDriver:
    """What `User` asks the engine for, in a hook. Hooks send no requests of their own."""

    loop: asyncio.AbstractEventLoop
    plan: LoadPlan
    tables: Mapping[str, int]
    stop: Any
    """Stops the run, with the reason."""
    session: Session | None = None
    calls: int = 0

    def send(self, call: Call) -> NoReturn:
        """Refuse a request."""
        raise RuntimeError(
            f"hooks send no requests, and this one is {call.method} {call.url}: write it as a step, in `before_user` "
            "what each user sends first, or the whole scenario as `code: FILE.py:FUNCTION`"
        )

    def count(self, _response: object) -> None:
        """Do nothing: the engine counts every request of a step."""

    def pause(self, seconds: float) -> asyncio.Future[None]:
        """Return a future that is done after a time."""
        future: asyncio.Future[None] = self.loop.create_future()
        self.loop.call_later(max(0.0, seconds), _finish, future)
        return future

    def random(self) -> Random:
        """Return random numbers for the iteration."""
        return Random(draw_at(self.plan.seed, self._session.iteration, RANDOM_PLACE, 0))

    def row(self, data: str) -> dict[str, Any]:
        """Return a row of test data by its columns."""
        table = self.tables.get(data)
        if table is None:
            names = ", ".join(self.tables) or "none"
            raise LookupError(f'the spec has no test data "{data}"; it has: {names}')
        columns = self.plan.data[table].columns
        return {name: self._session.cell(table, column, RANDOM_PLACE) for column, name in enumerate(columns)}

    def cookies(self) -> Jar | None:
        """Return the cookies of the user."""
        return self._session.jar

    def stop_run(self) -> None:
        """Let no other iteration begin; what was to be done is done."""
        self.stop(StopReason.TOTAL)

    @property
    def base_url(self) -> str:
        """The spec's base_url; empty without one."""
        return self.plan.hooks.base_url if self.plan.hooks else ""

    @property
    def _session(self) -> Session:
        assert self.session is not None
        return self.session


def new_user(driver: HookDriver, variables: UserVariables, number: int) -> UserOfCode:
    """Return the user that hooks get."""
    user = UserOfCode(driver, number)
    user.variables = variables  # type: ignore[assignment]  # a mapping that writes to the slots of templates
    return user


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
