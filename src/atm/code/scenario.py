"""What a Python file declares: scenarios by `@scenario`, and the settings of the whole test by `test`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import field
from typing import TYPE_CHECKING, Any, TypeVar, overload

from atm.dataclass import dataclass

if TYPE_CHECKING:
    from atm.code.own_metrics import OwnMetric
    from atm.code.user import User

    Iterate = Callable[[User], Awaitable[object]]

_Iterate = TypeVar("_Iterate", bound="Callable[[User], Awaitable[object]]")


@dataclass(frozen=True, slots=True)
class CodeScenario:
    """A function that is a scenario, with its settings."""

    name: str
    function: Iterate
    settings: dict[str, Any]
    """Fields of a scenario of a spec."""
    leave: Iterate | None = None
    """Called for each user that is there at the end of the run; its requests count, but it is no iteration."""


@dataclass(slots=True)
class Declarations:
    """What a file has declared while it was loaded."""

    scenarios: list[CodeScenario] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    """Fields of the spec."""
    hooks: list[tuple[str, Callable[..., Any]]] = field(default_factory=list)
    """The hooks of a spec, by the decorator `hook`."""
    metrics: list[OwnMetric] = field(default_factory=list)


_current: ContextVar[Declarations | None] = ContextVar("declarations", default=None)


class Declaring:
    """Collects what is declared inside a `with` block."""

    def __enter__(self) -> Declarations:
        collected = Declarations()
        self._token = _current.set(collected)
        return collected

    def __exit__(self, *_error: object) -> None:
        _current.reset(self._token)


def declarations() -> Declarations | None:
    """Return what is declared by the file that is being loaded; None if none is."""
    return _current.get()


def declare(scenario: CodeScenario) -> None:
    """Add a scenario to the file that is being loaded; without one, nothing happens."""
    collected = _current.get()
    if collected is not None:
        collected.scenarios.append(scenario)


def declare_hook(name: str, function: Callable[..., Any]) -> None:
    """Add a hook to the file that is being loaded; without one, nothing happens."""
    collected = _current.get()
    if collected is not None:
        collected.hooks.append((name, function))


@overload
def scenario(function: _Iterate, /) -> _Iterate: ...


@overload
def scenario(*, name: str | None = None, **settings: Any) -> Callable[[_Iterate], _Iterate]: ...


def scenario(function: Any = None, /, *, name: str | None = None, **settings: Any) -> Any:
    """Declare that a coroutine function is a scenario: each call of it is one iteration of one user.

    The keyword arguments are the fields of a scenario in a spec: `weight`, `load`, `headers`, `timeout`, `cookies`,
    `pace`, `thresholds` and others. `name` is by default that of the function.

        @atm.scenario(weight=3)
        async def checkout(user: atm.User) -> None:
            await user.get("/cart", name="cart")
    """

    def decorate(decorated: Any) -> Any:
        declare(CodeScenario(name or decorated.__name__, decorated, settings))
        return decorated

    return decorate if function is None else decorate(function)


def test(**settings: Any) -> None:
    """Set fields of the spec for a file that `atm run` is given: `base_url`, `duration`, `load`, `thresholds`, ….

        atm.test(base_url="https://shop.example.com", duration="1m", concurrency=20)

    Call it once, at the top level of the file.
    """
    collected = _current.get()
    if collected is not None:
        collected.settings.update(settings)


test.__test__ = False  # type: ignore[attr-defined]  # or pytest would take it for a test
