"""Tell a locustfile from other Python files, without importing what it needs."""

from __future__ import annotations

import ast


def is_locustfile(tree: ast.AST) -> bool:
    """Return whether a file imports Locust."""
    return any(_is_locust(name) for node in ast.walk(tree) for name in _imported(node))


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


def _is_locust(module: str) -> bool:
    return module.partition(".")[0] == "locust"
