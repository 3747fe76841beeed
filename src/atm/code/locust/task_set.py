"""Task sets: they pick tasks for a user, run them one after the other, and hand over to each other."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from itertools import cycle
from time import perf_counter
from typing import TYPE_CHECKING, Any

from greenlet import GreenletExit

from atm.code.locust.chance import chance
from atm.code.locust.exception import (
    InterruptTaskSet,
    LocustError,
    MissingWaitTimeError,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)
from atm.code.locust.switch import end_iteration, pause
from atm.code.locust.task import tasks_in_order, tasks_of

if TYPE_CHECKING:
    from atm.code.locust.user import User

ENDS = (StopUser, StopTest, GreenletExit)
"""Exceptions that end a user."""

_log = logging.getLogger("locust.user.task")


class TaskSetMeta(type):
    """Collects the tasks of a class."""

    def __new__(mcs, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        """Create the class."""
        return super().__new__(mcs, name, bases, {**attributes, "tasks": tasks_of(bases, attributes)})


class TaskSet(metaclass=TaskSetMeta):
    """Tasks of which one after the other is picked at random, until `interrupt`."""

    tasks: Any = ()
    min_wait: float | None = None
    max_wait: float | None = None

    def __init__(self, parent: Any) -> None:
        self._task_queue: deque[Callable[..., Any]] = deque()
        self._parent = parent
        self._user: User = parent.user if isinstance(parent, TaskSet) else parent
        self._cp_last_run = perf_counter()
        self._cp_last_wait_time = 0.0

    @property
    def user(self) -> User:
        """The user that runs the tasks."""
        return self._user

    @property
    def parent(self) -> Any:
        """The task set or the user around this one."""
        return self._parent

    @property
    def client(self) -> Any:
        """The client of the user."""
        return self._user.client

    def on_start(self) -> None:
        """Called when a user enters the task set; to override."""

    def on_stop(self) -> None:
        """Called when a user leaves the task set; to override."""

    def run(self) -> None:
        """Run tasks until an exception ends the task set or the user."""
        try:
            self.on_start()
        except InterruptTaskSet as interrupt:
            raise _handed_over(interrupt) from interrupt
        while True:
            try:
                self._run_next()
            except InterruptTaskSet as interrupt:
                self._leave()
                raise _handed_over(interrupt) from interrupt
            except ENDS:
                self._leave()
                raise
            except Exception as error:  # noqa: BLE001  # it fails the task, and the user continues
                self._user.environment.events.user_error.fire(
                    user_instance=self, exception=error, tb=error.__traceback__
                )
                self._user.failure = error
                self._wait_after_failure()

    def _run_next(self) -> None:
        if not self._task_queue:
            self.schedule_task(self.get_next_task())
        if self._user.stopping:
            raise StopUser
        try:
            self.execute_next_task()
        except RescheduleTaskImmediately:
            end_iteration(self._user)
        except RescheduleTask:
            self.wait()
        else:
            self.wait()

    def _wait_after_failure(self) -> None:
        try:
            self.wait()
        except ENDS:
            self._leave()
            raise

    def _leave(self) -> None:
        try:
            self.on_stop()
        except ENDS:
            raise
        except Exception:  # noqa: BLE001  # the user leaves in any case
            _log.exception("exception in on_stop")

    def execute_next_task(self) -> None:
        """Run the first task of the queue."""
        self.execute_task(self._task_queue.popleft())

    def execute_task(self, task: Any) -> None:
        """Run a task: a method, a function that takes the task set, or a nested task set."""
        if getattr(task, "__self__", None) is self:
            task()
        elif isinstance(task, type) and issubclass(task, TaskSet):
            task(self).run()
        else:
            task(self)

    def schedule_task(self, task_callable: Callable[..., Any], first: bool = False) -> None:
        """Queue a task, as the last or the first one."""
        if first:
            self._task_queue.appendleft(task_callable)
        else:
            self._task_queue.append(task_callable)

    def get_next_task(self) -> Any:
        """Pick a task."""
        return _picked(self, self.tasks)

    def wait_time(self) -> float:
        """Return the seconds between two tasks; the user's, unless a task set has its own."""
        if self.min_wait is not None and self.max_wait is not None:
            return chance().randint(int(self.min_wait), int(self.max_wait)) / 1000
        if self._user.wait_time is None:
            raise MissingWaitTimeError(f"{type(self._user).__name__} has no wait_time")
        return self._user.wait_time()

    def wait(self) -> None:
        """Wait for the wait time; what follows is another iteration."""
        if self._user.stopping:
            raise StopUser
        end_iteration(self._user, self.wait_time())
        if self._user.stopping:
            raise StopUser

    def _sleep(self, seconds: float) -> None:
        pause(seconds)

    def interrupt(self, reschedule: bool = True) -> None:
        """Leave the task set: the one around it continues, at once or after its wait time."""
        raise InterruptTaskSet(reschedule)


class DefaultTaskSet(TaskSet):
    """Runs the tasks that a user class has itself."""

    def get_next_task(self) -> Any:
        """Pick a task of the user."""
        return _picked(self._user, self._user.tasks)

    def execute_task(self, task: Any) -> None:
        """Run a task with the user as its argument."""
        if isinstance(task, type) and issubclass(task, TaskSet):
            task(self._user).run()
        else:
            task(self._user)


class SequentialTaskSetMeta(TaskSetMeta):
    """Collects the tasks of a class in the order of their declaration."""

    def __new__(mcs, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        """Create the class."""
        return type.__new__(mcs, name, bases, {**attributes, "tasks": tasks_in_order(bases, attributes)})


class SequentialTaskSet(TaskSet, metaclass=SequentialTaskSetMeta):
    """Tasks that run in the order of their declaration, again and again, until `interrupt`."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self._task_cycle = cycle(self.tasks)

    def get_next_task(self) -> Any:
        """Return the next task."""
        _required(self, self.tasks)
        return next(self._task_cycle)


def _handed_over(interrupt: InterruptTaskSet) -> Exception:
    return RescheduleTaskImmediately() if interrupt.reschedule else RescheduleTask()


def _picked(holder: Any, tasks: Any) -> Any:
    return tasks[0] if len(tasks) == 1 else chance().choice(_required(holder, tasks))


def _required(holder: Any, tasks: Any) -> Any:
    if not tasks:
        raise LocustError(f"{type(holder).__name__} has no tasks: use the @task decorator or the attribute `tasks`")
    return tasks
