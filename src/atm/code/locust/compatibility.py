"""Find what a locustfile uses and does not have here, before it runs: each use with its line and what to do instead."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from atm.errors import Problem

_MODULES = {
    "gevent": "use `time.sleep`, which lets the other users run, and the requests of one user after each other",
    "geventhttpclient": "use FastHttpUser",
    "locust_plugins": "write what it does in the file",
    "locust.stats": "the report has all figures; write a threshold to judge them: `--threshold 'p95 < 500ms'`",
    "locust.main": "use `atm run`",
    "locust.web": "`atm serve` has a dashboard",
    "locust.log": "use the module logging",
    "locust.debug": "use `atm run FILE --users 1`",
    "locust.dispatch": "use the weights and fixed counts of user classes",
    "locust.rpc": "use `--processes`",
    "locust.util": "write what it does in the file",
    "locust.contrib.postgres": "only HTTP is supported",
    "locust.contrib.mongodb": "only HTTP is supported",
    "locust.contrib.mqtt": "only HTTP is supported",
    "locust.contrib.socketio": "only HTTP is supported",
    "locust.contrib.milvus": "only HTTP is supported",
    "locust.contrib.oai": "only HTTP is supported",
    "locust.contrib.dns": "only HTTP is supported",
    "locust.user.markov_taskset": "use a TaskSet, and pick the next task with `schedule_task`",
}
_NAMES = {
    "MarkovTaskSet": _MODULES["locust.user.markov_taskset"],
    "transition": _MODULES["locust.user.markov_taskset"],
    "transitions": _MODULES["locust.user.markov_taskset"],
    "PytestUser": "write a fixture of pytest",
    "HttpLocust": "use HttpUser",
    "Locust": "use User",
}
_FLEET = "use `--processes` or `--on`, which merge the figures"
_EVENTS = {
    "report_to_master": _FLEET,
    "worker_report": _FLEET,
    "worker_connect": _FLEET,
    "heartbeat_sent": _FLEET,
    "heartbeat_received": _FLEET,
    "reset_stats": "use `--warm-up`",
    "cpu_warning": "the report judges the load generator itself",
    "usage_monitor": "the report judges the load generator itself",
}
_ENVIRONMENT = {
    "stats": "the report has all figures; write a threshold to judge them: `--threshold 'error_rate < 1%'`",
    "process_exit_code": "write a threshold, which sets the exit code: `--threshold 'error_rate < 1%'`",
    "create_local_runner": "use `atm run`",
    "create_web_ui": "`atm serve` has a dashboard",
}
_RUNNER = {
    "send_message": _FLEET,
    "register_message": _FLEET,
    "clients": _FLEET,
    "spawn_users": "use `--stages` or a LoadTestShape",
    "start": "use `--stages` or a LoadTestShape",
    "stats": _ENVIRONMENT["stats"],
}
_OPTIONS = {
    "files": "encode the body yourself, and give it as data=",
    "stream": "the response is always read to its end",
    "proxies": "write `proxy` in a spec",
    "cert": "write `tls` in a spec",
    "hooks": "listen to events.request",
    "cookies": "set the header Cookie",
}
_METHODS = frozenset({"request", "get", "post", "put", "patch", "delete", "head", "options"})


def unsupported_in(tree: ast.AST, file: str) -> list[Problem]:
    """Return a problem for each use of something that does not exist here."""
    return [
        Problem(f"{what} is not supported in a locustfile", "locust_unsupported", place=f"{file}:{line}", hint=hint)
        for line, what, hint in sorted({(line, what, _sentence(hint)) for line, what, hint in _uses(tree)})
    ]


def _uses(tree: ast.AST, in_guard: bool = False) -> Iterator[tuple[int, str, str]]:
    """Yield line, use and remedy; `in_guard`: inside of an `if` that asks whether there is a web page."""
    for node in ast.iter_child_nodes(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            for alias in node.names:
                if hint := _of_module(alias.name):
                    yield line, f"the module {alias.name}", hint
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from _imported(node)
        elif isinstance(node, ast.Attribute):
            yield from _attribute(node, in_guard)
        elif isinstance(node, ast.Call):
            yield from _call(node)
        elif isinstance(node, ast.FunctionDef) and node.name == "tick":
            yield from _classes_in_tick(node)
        is_guard = isinstance(node, ast.If) and "web_ui" in ast.dump(node.test)
        yield from _uses(node, in_guard or is_guard)


def _imported(node: ast.ImportFrom) -> Iterator[tuple[int, str, str]]:
    module = node.module or ""
    if hint := _of_module(module):
        yield node.lineno, f"the module {module}", hint
        return
    if module.partition(".")[0] != "locust":
        return
    for alias in node.names:
        if hint := _NAMES.get(alias.name) or _of_module(f"{module}.{alias.name}"):
            yield node.lineno, alias.name, hint


def _attribute(node: ast.Attribute, in_guard: bool) -> Iterator[tuple[int, str, str]]:
    owner = _last_name(node.value)
    if owner == "events" and node.attr in _EVENTS:
        yield node.lineno, f"events.{node.attr}", _EVENTS[node.attr]
    elif owner in ("environment", "env") and node.attr in _ENVIRONMENT:
        yield node.lineno, f"environment.{node.attr}", _ENVIRONMENT[node.attr]
    elif owner == "runner" and node.attr in _RUNNER:
        yield node.lineno, f"runner.{node.attr}", _RUNNER[node.attr]
    elif owner == "web_ui" and not in_guard:
        yield node.lineno, f"web_ui.{node.attr}", "`atm serve` has a dashboard; or ask before: `if environment.web_ui:`"
    elif owner == "request" and node.attr in ("fire", "measure") and _last_name(_value_of(node.value)) == "events":
        yield node.lineno, f"events.request.{node.attr}", "only requests of self.client are counted: use HttpUser"
    elif owner == "locust" and node.attr in _NAMES:
        yield node.lineno, node.attr, _NAMES[node.attr]


def _call(node: ast.Call) -> Iterator[tuple[int, str, str]]:
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr in _METHODS and _last_name(function.value) == "client":
        for keyword in node.keywords:
            is_off = isinstance(keyword.value, ast.Constant) and not keyword.value.value
            if keyword.arg in _OPTIONS and not is_off:
                yield keyword.value.lineno, f"{keyword.arg}=", _OPTIONS[keyword.arg]
            elif keyword.arg == "verify" and is_off:
                yield keyword.value.lineno, "verify=False", "use `--insecure`"


def _classes_in_tick(node: ast.FunctionDef) -> Iterator[tuple[int, str, str]]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Return) and isinstance(inner.value, ast.Tuple) and len(inner.value.elts) > 2:
            hint = "return users and spawn rate, and give the classes weights or fixed counts"
            yield inner.lineno, "a LoadTestShape with user classes", hint


def _of_module(name: str) -> str:
    """Return the remedy for a module or one around it."""
    while name:
        if name in _MODULES:
            return _MODULES[name]
        name = name.rpartition(".")[0]
    return ""


def _last_name(node: ast.AST | None) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _value_of(node: ast.AST) -> ast.AST | None:
    return node.value if isinstance(node, ast.Attribute) else None


def _sentence(hint: str) -> str:
    return hint[:1].upper() + hint[1:]
