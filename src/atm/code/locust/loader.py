"""Load a locustfile as a module whose scenarios are its user classes."""

from __future__ import annotations

import ast
from pathlib import Path
from types import CodeType, ModuleType

from atm.code.locust.bridge import UsersOfClass
from atm.code.locust.compatibility import unsupported_in
from atm.code.locust.locustfile import Locustfile, executed
from atm.code.locust.user import FastHttpUser, HttpUser, User
from atm.code.scenario import CodeScenario
from atm.errors import DataError, Problem


def load_locustfile(path: Path, tree: ast.Module, code: CodeType, module: ModuleType) -> Locustfile:
    """Execute a locustfile. Raises DataError that lists each use of something that is not supported."""
    problems = unsupported_in(tree, path.name)
    if problems:
        raise DataError(problems)
    lines = {node.name: node.lineno for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    file = executed(code, module, lines)
    problems = [
        _problem(path, lines.get(user.__name__, 1), user)
        for user in file.user_classes
        if not issubclass(user, HttpUser | FastHttpUser)
    ]
    if problems:
        raise DataError(problems)
    return file


def scenarios_of(file: Locustfile) -> dict[str, CodeScenario]:
    """Return a scenario for each user class."""
    scenarios: dict[str, CodeScenario] = {}
    for user in file.user_classes:
        users = UsersOfClass(user, file)
        file.users.append(users)
        scenarios[user.__name__] = CodeScenario(user.__name__, users.iterate, {}, users.leave)
    return scenarios


def _problem(path: Path, line: int, user: type[User]) -> Problem:
    what = f"{user.__name__} has a client of its own, which is not supported in a locustfile"
    hint = "Derive it from HttpUser or FastHttpUser"
    return Problem(what, "locust_unsupported", place=f"{path.name}:{line}", hint=hint)
