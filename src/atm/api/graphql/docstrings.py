"""Read the docstrings of model fields, for the descriptions of GraphQL fields."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache


@cache
def docstrings(model: type) -> Mapping[str, str]:
    """Return the texts below the fields of a class, those of its bases included."""
    texts: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if kind.__module__.startswith("atm."):
            texts |= _own_docstrings(kind)
    return texts


def _own_docstrings(kind: type) -> dict[str, str]:
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    texts = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            value = text.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                texts[field.target.id] = inspect.cleandoc(value.value)
    return texts
