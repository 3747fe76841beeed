"""Choose the engine for a plan: the first in order of preference that is installed and supports the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

from atm.engine.base import Capability, Engine
from atm.errors import CapabilityError, Problem
from atm.plan.load_plan import LoadPlan


def _asyncio() -> Engine:
    from atm.engine.asyncio_engine import AsyncioEngine

    return AsyncioEngine()


def _native() -> Engine | None:
    from atm.engine.native_engine import load_native_engine

    return load_native_engine()


@runtime_checkable
class PlanReviewer(Protocol):
    """An engine that may refuse a plan although it has every capability that the plan needs."""

    def refusal(self, plan: LoadPlan) -> str:
        """Return the reason for refusing the plan; empty when the engine runs it."""
        ...


PREFERENCE = ("native", "asyncio")
"""The order in which `engine: auto` tries the engines."""

LOADERS: Mapping[str, Callable[[], Engine | None]] = {"native": _native, "asyncio": _asyncio}
"""Engine loaders by name; a loader returns None where its engine is not installed."""

_NOT_INSTALLED = {
    "native": Problem(
        "native engine not installed, but the spec requires it",
        "no_native_engine",
        path="engine",
        hint="`engine: auto` uses asyncio if the native engine is missing: same figures, lower maximum rate",
    ),
    "asyncio": Problem("asyncio engine not installed", "no_asyncio_engine", path="engine"),
}

_DESCRIPTIONS = {
    Capability.TLS: "https",
    Capability.CLIENT_CERTIFICATE: "client certificates",
    Capability.PROXY: "proxies",
    Capability.REDIRECTS: "redirects",
    Capability.BODY_CHECKS: "body checks",
    Capability.HTTP2: "HTTP/2",
    Capability.SOURCE_ADDRESSES: "source addresses",
    Capability.RE_RESOLUTION: "name resolution during the run",
    Capability.TARGET_RULES: "rules for what may be dialled",
    Capability.SCENARIOS: "scenarios",
    Capability.BEFORE_USER: "before_user of a scenario",
    Capability.CODE: "Python code",
}


def choose_engine(plan: LoadPlan, loaders: Mapping[str, Callable[[], Engine | None]] = LOADERS) -> tuple[Engine, str]:
    """Return the engine for `plan` and the reason for the choice.

    Raises CapabilityError, naming the feature, when the engine named by the plan (or, with `auto`, every installed one)
    does not support it, or is not installed.
    """
    if plan.engine != "auto":
        return _named_engine(plan, loaders)
    reasons: list[str] = []
    problems: list[Problem] = []
    for name in PREFERENCE:
        engine = _load(name, loaders)
        if engine is None:
            reasons.append(_absence(name, loaders))
            continue
        missing = missing_capabilities(plan, engine)
        if not missing and (refusal := _refusal(engine, plan)):
            reasons.append(f"the {name} engine refuses the plan ({refusal})")
            problems.append(_refuses(name, refusal))
            continue
        if not missing:
            return engine, f"{name}: {', '.join(reasons)}" if reasons else f"{name}, the default"
        reasons.append(f"the {name} engine cannot do {', '.join(missing)}")
        problems.append(_cannot(name, missing))
    raise CapabilityError(problems or [_NOT_INSTALLED[PREFERENCE[-1]]])


def missing_capabilities(plan: LoadPlan, engine: Engine) -> list[str]:
    """Return descriptions of what `plan` needs and `engine` lacks; a need unknown to this version is among them."""
    supported = {capability.value for capability in engine.capabilities}
    return [_DESCRIPTIONS[Capability(need)] if need in _NAMES else need for need in plan.needs if need not in supported]


_NAMES = frozenset(capability.value for capability in Capability)


def _named_engine(plan: LoadPlan, loaders: Mapping[str, Callable[[], Engine | None]]) -> tuple[Engine, str]:
    engine = _load(plan.engine, loaders)
    if engine is None:
        reason = _absence(plan.engine, loaders)
        absent = _NOT_INSTALLED[plan.engine]
        raise CapabilityError(absent if reason.endswith("not installed") else replace(absent, what=reason))
    missing = missing_capabilities(plan, engine)
    if missing:
        raise CapabilityError(_cannot(plan.engine, missing))
    if refusal := _refusal(engine, plan):
        raise CapabilityError(_refuses(plan.engine, refusal))
    return engine, f"{plan.engine}, set in the spec"


def _load(name: str, loaders: Mapping[str, Callable[[], Engine | None]]) -> Engine | None:
    load = loaders.get(name)
    return load() if load else None


def _absence(name: str, loaders: Mapping[str, Callable[[], Engine | None]]) -> str:
    if name == "native" and loaders.get(name) is _native:
        from atm.engine.native_engine import absence

        return absence()
    return f"the {name} engine is not installed"


def _refusal(engine: Engine, plan: LoadPlan) -> str:
    return engine.refusal(plan) if isinstance(engine, PlanReviewer) else ""


def _refuses(name: str, refusal: str) -> Problem:
    return Problem(f"the {name} engine refuses the plan: {refusal}", "engine_refuses", path="engine")


def _cannot(name: str, missing: list[str]) -> Problem:
    return Problem(
        f"the {name} engine cannot do {', '.join(missing)}",
        "engine_cannot",
        path="engine",
        hint="" if name == "asyncio" else "`engine: auto` chooses an engine that can, if one is installed",
    )
