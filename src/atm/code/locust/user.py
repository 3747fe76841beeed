"""The user classes: what a locustfile derives its users from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit

from atm.code.locust.exception import StopTest, StopUser
from atm.code.locust.session import FastHttpSession, HttpSession
from atm.code.locust.task import tasks_of
from atm.code.locust.task_set import DefaultTaskSet
from atm.code.locust.wait_time import constant

if TYPE_CHECKING:
    from atm.code.locust.environment import Environment

_log = logging.getLogger("locust.user.users")


class UserMeta(type):
    """Collects the tasks of a class; it is abstract only if it says so itself."""

    def __new__(mcs, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        """Create the class."""
        own = {"tasks": tasks_of(bases, attributes), "abstract": bool(attributes.get("abstract"))}
        return super().__new__(mcs, name, bases, {**attributes, **own})


class User(metaclass=UserMeta):
    """A simulated user: runs its tasks, with a wait time after each."""

    abstract = True
    host: str | None = None
    tasks: Any = ()
    wait_time: Callable[..., float] = constant(0)
    min_wait: float | None = None
    max_wait: float | None = None
    weight: float = 1
    fixed_count: int = 0
    client: Any

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.failure: Exception | None = None
        """The exception that ended a task of this iteration."""
        self.stopping = False
        self._cp_last_run = perf_counter()
        self._cp_last_wait_time = 0.0
        self._task_set = DefaultTaskSet(self)

    def on_start(self) -> None:
        """Called when the user begins; to override."""

    def on_stop(self) -> None:
        """Called when the user ends; to override."""

    def context(self) -> dict[str, Any]:
        """Return what listeners of `request` receive as context; to override."""
        return {}

    def wait(self) -> None:
        """Wait for the wait time."""
        self._task_set.wait()

    def stop(self, force: bool = False) -> bool:
        """End the user after its current task, or at once."""
        if force:
            raise StopUser
        self.stopping = True
        return False

    def run(self) -> None:
        """Run tasks until the user ends."""
        try:
            try:
                self.on_start()
            except Exception as error:
                if not isinstance(error, (StopUser, StopTest)):
                    self.environment.events.user_error.fire(user_instance=self, exception=error, tb=error.__traceback__)
                raise
            self._task_set.run()
        except (StopUser, StopTest, GreenletExit) as ended:
            self.on_stop()
            if isinstance(ended, StopTest):
                raise


class _WebUser(User):
    """A user with a client for HTTP."""

    abstract = True

    @contextmanager
    def rest(self, method: str, url: str, headers: Any = None, **options: Any) -> Iterator[Any]:
        """Send a request and read JSON from its response (`js`); an exception in the block fails the request."""
        sent = {"Content-Type": "application/json", "Accept": "application/json"}
        given = dict(headers or {})
        for name in [name for name in sent if any(name.lower() == other.lower() for other in given)]:
            del sent[name]
        with self.client.request(method, url, catch_response=True, headers={**sent, **given}, **options) as response:
            response.js = None
            if response.error is not None:
                response.failure(str(response.error))
            elif response.text:
                try:
                    response.js = response.json()
                except JSONDecodeError as error:
                    response.failure(f"Could not parse response as JSON: {error}")
            try:
                yield response
            except AssertionError as error:
                response.failure(str(error) or "Assertion failed")
            except Exception as error:  # noqa: BLE001  # it fails the request
                response.failure(f"{type(error).__name__}: {error}")

    @contextmanager
    def rest_(self, method: str, url: str, name: str | None = None, **options: Any) -> Iterator[Any]:
        """Like `rest`, with the time in the query, so that no cache responds."""
        address = url + ("&" if "?" in url else "?") + "_="
        with self.rest(method, f"{address}{int(time() * 1000)}", name=name or f"{address}...", **options) as response:
            yield response


class HttpUser(_WebUser):
    """A user whose client has the interface of a session of requests."""

    abstract = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client = HttpSession(self.host or "", self)


class FastHttpUser(_WebUser):
    """A user whose client has the interface of Locust's fast client."""

    abstract = True
    default_headers: dict[str, str] | None = None
    network_timeout = 60.0
    connection_timeout = 60.0
    insecure = True

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client = FastHttpSession(self.host or "", self)
        self.client.headers.update(self.default_headers or {})
