"""The modules that `import locust` finds in a locustfile, and the names in them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from atm.code.locust import (
    argument_parser,
    environment,
    event,
    exception,
    response,
    session,
    shape,
    task,
    task_set,
    user,
    wait_time,
)


class LocustModule(ModuleType):
    """Raises an error with a remedy for names that are not supported."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ImportError(f"{self.__name__}.{name} is not supported by API Test Machine", name=self.__name__)


def modules(events: event.Events) -> dict[str, ModuleType]:
    """Return the modules by their names; `events` are those of the file that imports them."""
    own = {
        "locust": {**_IN_LOCUST, "events": events, "wait_time": wait_time, "__path__": [], "__version__": "2"},
        "locust.exception": _public(exception),
        "locust.wait_time": _public(wait_time),
        "locust.user": {**_IN_USER, "__path__": []},
        "locust.user.task": {
            **_public(task, "task", "tag"),
            "TaskSet": task_set.TaskSet,
            "DefaultTaskSet": task_set.DefaultTaskSet,
        },
        "locust.user.users": {name: getattr(user, name) for name in ("User", "HttpUser", "FastHttpUser")},
        "locust.user.wait_time": _public(wait_time),
        "locust.user.sequential_taskset": {"SequentialTaskSet": task_set.SequentialTaskSet},
        "locust.contrib": {"__path__": []},
        "locust.contrib.fasthttp": {
            "FastHttpUser": user.FastHttpUser,
            "FastHttpSession": session.FastHttpSession,
            "FastResponse": response.Response,
            "ResponseContextManager": response.Response,
            "RestResponseContextManager": response.Response,
        },
        "locust.clients": {
            "HttpSession": session.HttpSession,
            "Response": response.Response,
            "ResponseContextManager": response.Response,
            "RestResponseContextManager": response.Response,
        },
        "locust.env": {"Environment": environment.Environment},
        "locust.event": {"EventHook": event.EventHook, "Events": event.Events},
        "locust.shape": {"LoadTestShape": shape.LoadTestShape},
        "locust.argument_parser": {"LocustArgumentParser": argument_parser.LocustArgumentParser},
        "locust.runners": {
            "Runner": environment.Runner,
            "LocalRunner": environment.LocalRunner,
            "MasterRunner": environment.MasterRunner,
            "WorkerRunner": environment.WorkerRunner,
            "STATE_RUNNING": environment.RUNNING,
            "STATE_STOPPING": environment.STOPPING,
            "STATE_STOPPED": environment.STOPPED,
            "STATE_CLEANUP": "cleanup",
            "STATE_INIT": "ready",
            "STATE_SPAWNING": "spawning",
        },
    }
    made: dict[str, ModuleType] = {}
    for name, contents in own.items():
        module = made[name] = LocustModule(name)
        vars(module).update(contents)
        outer, _, inner = name.rpartition(".")
        if outer and inner not in vars(made[outer]):
            setattr(made[outer], inner, module)
    return made


_IN_USER = {
    "User": user.User,
    "HttpUser": user.HttpUser,
    "FastHttpUser": user.FastHttpUser,
    "TaskSet": task_set.TaskSet,
    "SequentialTaskSet": task_set.SequentialTaskSet,
    "task": task.task,
    "tag": task.tag,
}
_WAIT_TIMES = ("between", "constant", "constant_pacing", "constant_throughput", "poisson")
_WAITS = {name: getattr(wait_time, name) for name in _WAIT_TIMES}


def _run_single_user(*_arguments: Any, **_options: Any) -> None:
    """For debugging a file by itself, which is not what happens here."""
    raise RuntimeError("run_single_user is not supported: `atm run FILE --users 1` runs a single user")


_IN_LOCUST = {**_IN_USER, **_WAITS, "LoadTestShape": shape.LoadTestShape, "run_single_user": _run_single_user}


def _public(module: ModuleType, *only: str) -> dict[str, Any]:
    names = only or [name for name in vars(module) if not name.startswith("_") and name != "annotations"]
    return {name: vars(module)[name] for name in names}
