"""Load a file of `hooks`: find its functions by decorator or name, and check that they can be called."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from atm.code.hook_variables import variables_set_in
from atm.code.hooks import ARGUMENTS
from atm.code.module import CodeModule, data_in, line_of, load
from atm.errors import DataError, Problem
from atm.models.nearest import nearest
from atm.plan.code_hooks import HookFile

_NEAR = 0.8
"""How similar a name must be to that of a hook to be taken for a misspelled one."""


def open_hooks(text: str, directory: Path) -> HookFile:
    """Load `FILE.py`, relative to a directory. Raises DataError with every problem of its hooks."""
    module = load(_path(text, directory))
    functions = hooks_of(module)
    problems = [problem for name, function in functions.items() if (problem := _problem(name, function, module.path))]
    if problems:
        raise DataError(problems)
    tree = ast.parse(module.path.read_bytes())
    in_setup = functions["setup"].__name__ if "setup" in functions else ""
    return HookFile(
        str(module.path),
        module.digest,
        tuple((name, function.__name__) for name, function in functions.items()),
        tuple((name, _refusal(function, module.path)) for name, function in _own_functions(module)),
        tuple(variables_set_in(tree, in_setup)),
        tuple(sorted(set(data_in(tree)))),
        module.metrics,
        tuple(_misspelled(module, functions)),
    )


def hooks_of(module: CodeModule) -> dict[str, Callable[..., Any]]:
    """Return the functions of the hooks of a file, by the names of the hooks. Raises DataError for two of one hook."""
    hooks: dict[str, Callable[..., Any]] = {}
    for name, function in module.hooks:
        if name in hooks:
            place = f"{module.path.name}:{line_of(function)}"
            what = f'two functions are the hook "{name}": {hooks[name].__name__} and {function.__name__}'
            raise DataError(Problem(what, "duplicate_name", place=place, hint="Let one of them call the other"))
        hooks[name] = function
    declared = {id(function) for function in hooks.values()}
    for name, function in _own_functions(module):
        if name in ARGUMENTS and id(function) not in declared:
            if name in hooks:
                place = f"{module.path.name}:{line_of(function)}"
                what = f'two functions are the hook "{name}": {hooks[name].__name__}, by its decorator, and {name}'
                raise DataError(Problem(what, "duplicate_name", place=place, hint="Rename this one"))
            hooks[name] = function
    return hooks


def called_function(module: CodeModule, name: str) -> Callable[..., Any]:
    """Return a function that a step calls. Raises DataError."""
    function = dict(_own_functions(module)).get(name)
    if function is None:
        raise DataError(Problem(f'there is no function "{name}"', "code_not_found", place=module.path.name))
    return function


def _path(text: str, directory: Path) -> Path:
    if not text.endswith(".py"):
        hint = "Write a file: `hooks: shop_hooks.py`"
        raise DataError(Problem(f'"{text}" does not name a Python file', "bad_code", hint=hint))
    return (directory / text).resolve()


def _own_functions(module: CodeModule) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield each function of a file by its name, those included that it imports."""
    for name, value in vars(module.module).items():
        if inspect.isfunction(value) and not name.startswith("__"):
            yield name, value


def _problem(hook: str, function: Callable[..., Any], path: Path) -> Problem | None:
    """Return why a function cannot be a hook."""
    arguments = ARGUMENTS[hook]
    place = f"{path.name}:{line_of(function)}"
    hint = f"Write `def {function.__name__}({', '.join(arguments)}):`, or `async def`"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return Problem(f'the hook "{hook}" is a generator: it has `yield`', "bad_code", place=place, hint=hint)
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        count = "one argument" if len(arguments) == 1 else f"{len(arguments)} arguments"
        what = f'the hook "{hook}" cannot be called with {count}: {", ".join(arguments)}'
        return Problem(what, "bad_code", place=place, hint=hint)
    return None


def _refusal(function: Callable[..., Any], path: Path) -> str:
    """Return why a step cannot call a function; empty if it can."""
    place = f"{path.name}:{line_of(function)}"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return f'{place}: "{function.__name__}" is a generator: it has `yield`'
    try:
        inspect.signature(function).bind("user")
    except TypeError:
        return f'{place}: "{function.__name__}" cannot be called with one argument, the user'
    return ""


def _misspelled(module: CodeModule, hooks: dict[str, Callable[..., Any]]) -> Iterator[tuple[str, str, str]]:
    used = {id(function) for function in hooks.values()}
    for name, function in _own_functions(module):
        close = nearest(name, ARGUMENTS, cutoff=_NEAR)
        if close and close[0] != name and id(function) not in used and function.__module__ == module.module.__name__:
            yield f"{module.path.name}:{line_of(function)}", name, close[0]
