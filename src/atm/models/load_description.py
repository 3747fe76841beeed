"""The load of a spec in words, for reports: `open, 500 /s even, up to 64 users`, `closed, 10 users`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atm.models import figures

_MOST_LOADS = 4


def described_loads(spec: Mapping[str, Any], model: str, offered_rate: float | None) -> list[str]:
    """Describe the load of a spec, or that of each scenario with a load of its own: `browse: open, 40 /s poisson`."""
    own = _loads_of_scenarios(spec)
    if not own:
        return [described_load(spec, model, offered_rate)]
    described = [f"{name}: {described_load({'load': load}, _model_of(load), None)}" for name, load in own.items()]
    more = len(described) - _MOST_LOADS
    return described if more <= 0 else [*described[:_MOST_LOADS], f"{more} more scenarios"]


def has_loads_of_scenarios(spec: Mapping[str, Any]) -> bool:
    """Return whether scenarios of a spec have loads of their own."""
    return bool(_loads_of_scenarios(spec))


def _loads_of_scenarios(spec: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    scenarios = spec.get("scenarios")
    loads = {name: part.get("load") for name, part in scenarios.items()} if isinstance(scenarios, Mapping) else {}
    return {name: load for name, load in loads.items() if isinstance(load, Mapping)}


def _model_of(load: Mapping[str, Any]) -> str:
    written: str | None = load.get("model")
    return written or ("open" if load.get("rate") is not None else "closed")


def described_load(spec: Mapping[str, Any], model: str, offered_rate: float | None) -> str:
    """Describe the load of a spec: `open, 500 /s even, up to 64 users`, `closed, 10 users`."""
    settings = spec.get("load") or {}
    stages = settings.get("stages") or []
    users = settings.get("users") or spec.get("concurrency")
    if model == "open":
        rate = settings.get("rate") or spec.get("requests_per_second") or offered_rate
        if stages:
            peak = max(float(stage["target"]) for stage in stages)
            parts = [f"open, {len(stages)} {'stage' if len(stages) == 1 else 'stages'} up to {figures.rate(peak)} /s"]
        else:
            parts = [f"open, {figures.rate(rate)} /s {settings.get('arrival', 'even')}"]
        users = settings.get("max_in_flight") or users
        if users:
            parts.append(f"up to {figures.counted(users, 'user')}")
        return ", ".join(parts)
    if stages:
        peak = max(int(stage["target"]) for stage in stages)
        return f"closed, {figures.counted(len(stages), 'stage')} up to {figures.counted(peak, 'user')}"
    users = users or 10
    text = f"closed, {figures.counted(users, 'user')}"
    if settings.get("max_rate"):
        text += f", at most {figures.rate(settings['max_rate'])} /s"
    return text
