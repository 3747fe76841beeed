"""The spec that `atm init` writes."""

from __future__ import annotations

from importlib.resources import files


def starter_text() -> str:
    """Return a commented spec in YAML that compiles unchanged."""
    return files("atm.plan").joinpath("starter.yaml").read_text(encoding="utf-8")
