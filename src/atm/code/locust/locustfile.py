"""A locustfile that was loaded: its user classes, its shape, and the environment of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from atm.code.locust.argument_parser import LocustArgumentParser, add_common_options
from atm.code.locust.environment import Environment
from atm.code.locust.event import Events
from atm.code.locust.finder import LocustImports
from atm.code.locust.shape import LoadTestShape
from atm.code.locust.sleep import replace_sleep
from atm.code.locust.task import select_tasks
from atm.code.locust.user import FastHttpUser, HttpUser, User
from atm.dataclass import dataclass

if TYPE_CHECKING:
    from atm.code.locust.bridge import UsersOfClass


@dataclass
class Locustfile:
    """What a file declares. A run begins with `begin`, in each process that sends load."""

    events: Events
    user_classes: list[type[User]]
    shape: LoadTestShape | None
    lines: dict[str, int]
    """The line of each user class."""
    environment: Environment = field(init=False)
    has_started: bool = False
    is_ended: bool = False
    """The engine has ended code of this run by force."""
    users: list[UsersOfClass] = field(default_factory=list)
    """What runs the users, by class."""
    _given: tuple[str, dict[str, str]] | None = None

    def begin(self, base_url: str, variables: Mapping[str, str]) -> Environment:
        """Prepare a run with an address and the values of options; once for the same. Raises ValueError."""
        if self._given == (base_url, variables):
            return self.environment
        parser = LocustArgumentParser()
        add_common_options(parser)
        self.events.init_command_line_parser.fire(parser=parser)
        options = parser.parsed(variables)
        environment = self.environment = Environment(self.events, self.user_classes, options, base_url)
        environment.shape_class = self.shape
        tags, excluded = frozenset(options.tags or ()), frozenset(options.exclude_tags or ())
        for user_class in self.user_classes:
            if tags or excluded:
                select_tasks(user_class, tags, excluded)
            if base_url and options.host:
                user_class.host = base_url
        self._given = (base_url, dict(variables))
        self.is_ended = False
        self.events.init.fire(environment=environment, runner=environment.runner, web_ui=None)
        return environment

    def start(self) -> None:
        """Tell listeners that the run has started; once."""
        if not self.has_started:
            self.has_started = True
            self.events.test_start.fire(environment=self.environment)

    def end(self) -> None:
        """End what is left of users, and tell listeners that the run has ended."""
        for users in self.users:
            users.end()
        if self.has_started:
            self.has_started = False
            self._given = None
            self.events.test_stopping.fire(environment=self.environment)
            self.events.test_stop.fire(environment=self.environment)
            self.events.quitting.fire(environment=self.environment, reverse=True)
            self.events.quit.fire(exit_code=0)


def executed(code: Any, module: ModuleType, lines: dict[str, int]) -> Locustfile:
    """Execute a file with our modules as `locust`, and return what it declares; `lines` are those of its classes."""
    replace_sleep()
    events = Events()
    with LocustImports(events):
        exec(code, vars(module))
    shapes = [shape for shape in _classes(module, LoadTestShape) if not shape.abstract]
    users = [user for user in _classes(module, User) if not user.abstract]
    return Locustfile(events, users, shapes[0]() if shapes else None, lines)


def _classes(module: ModuleType, base: type) -> Iterator[Any]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, base) and value not in (base, HttpUser, FastHttpUser):
            yield value
