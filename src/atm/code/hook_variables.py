"""Find the variables that the functions of a file write to, so that templates may read them: by the file's text."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from atm.plan.code_hooks import SetVariables

_CONTEXT = "context"
"""What a function calls the object that `setup` gets."""


def variables_set_in(tree: ast.Module, setup: str) -> Iterator[SetVariables]:
    """Yield what each function writes to: `user.variables["token"] = …`; `setup` names the function of that hook."""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        contexts = {_CONTEXT}
        if node.name == setup and node.args.args:
            contexts.add(node.args.args[0].arg)
        names: dict[str, dict[str, None]] = {"user": {}, "run": {}, "secrets": {}}
        for owner, attribute, name in _written(node):
            if owner not in contexts:
                names["user"][name] = None
            else:
                names["run" if attribute == "variables" else "secrets"][name] = None
        if any(names.values()):
            yield SetVariables(node.name, tuple(names["user"]), tuple(names["run"]), tuple(names["secrets"]))


def _written(function: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Yield the owner, `variables` or `secrets`, and the name of each variable that is written to."""
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            yield from _of(node.value, [node.slice])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == "setdefault":
                yield from _of(node.func.value, node.args[:1])
            elif node.func.attr == "update":
                keys = [key for argument in node.args if isinstance(argument, ast.Dict) for key in argument.keys if key]
                words = [ast.Constant(word.arg) for word in node.keywords if word.arg]
                yield from _of(node.func.value, [*keys, *words])


def _of(holder: ast.expr, names: list[ast.expr]) -> Iterator[tuple[str, str, str]]:
    if not isinstance(holder, ast.Attribute) or holder.attr not in ("variables", "secrets"):
        return
    owner = holder.value.id if isinstance(holder.value, ast.Name) else ""
    for name in names:
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield owner, holder.attr, name.value
