"""The specs that `atm init` writes."""

from __future__ import annotations

from importlib.resources import files


def starter_text(*, scenario: bool = False) -> str:
    """Return a commented spec in YAML that compiles unchanged: of one request, or of a scenario."""
    name = "starter_scenario.yaml" if scenario else "starter.yaml"
    return files("atm.plan").joinpath(name).read_text(encoding="utf-8")
