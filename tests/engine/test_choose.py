from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from atm.engine.asyncio_engine import AsyncioEngine
from atm.engine.base import Capability, Control, Engine, EngineReport
from atm.engine.choose import LOADERS, choose_engine
from atm.errors import CapabilityError
from atm.metrics.interval import Interval
from atm.plan.connections import Origin
from atm.plan.load_plan import Flow, Lane, Load, LoadPlan, Segment, Step

PLAN = LoadPlan(
    name="chosen",
    seed=1,
    endpoints=("e",),
    origins=(Origin("http", "127.0.0.1", 1),),
    flows=(Flow("e", 1, (Step(0, 0, "GET", (), (), None, ((200, 200),), (), 1),)),),
    lanes=(Lane("chosen", (0,), "round_robin", Load("closed", (Segment(1, 1, None),)), 1, None),),
    graceful_stop_ns=0,
)


class OtherEngine:
    """Another engine to choose from; it is never run."""

    name = "native"
    version = "1"
    capabilities = frozenset({Capability.TLS})

    async def run(
        self,
        plan: LoadPlan,
        secrets: Mapping[str, str],
        on_interval: Callable[[Interval], None],
        control: Control,
        starts_at_ns: int | None = None,
    ) -> EngineReport:
        raise NotImplementedError


def other() -> Engine:
    return OtherEngine()


BOTH = {**LOADERS, "native": other}
ALONE = {"asyncio": LOADERS["asyncio"]}


def test_auto_takes_asyncio_where_nothing_else_is_installed_and_says_why() -> None:
    engine, reason = choose_engine(PLAN, ALONE)
    assert isinstance(engine, AsyncioEngine)
    assert reason == "asyncio: the native engine is not installed"


def test_auto_prefers_the_native_engine() -> None:
    engine, reason = choose_engine(PLAN, BOTH)
    assert engine.name == "native"
    assert reason == "native, the default"


def test_auto_goes_on_to_an_engine_that_can() -> None:
    engine, reason = choose_engine(replace(PLAN, needs=("tls", "redirects")), BOTH)
    assert engine.name == "asyncio"
    assert reason == "asyncio: the native engine cannot do redirects"


def test_an_engine_that_the_spec_names_is_taken_or_refused() -> None:
    assert choose_engine(replace(PLAN, engine="asyncio"), BOTH)[1] == "asyncio, set in the spec"
    with pytest.raises(CapabilityError) as refused:
        choose_engine(replace(PLAN, engine="native"), ALONE)
    problem = refused.value.problems[0]
    assert problem.lines()[0] == "error: native engine not installed, but the spec requires it [no_native_engine]"
    assert "`engine: auto` uses asyncio" in problem.hint
    with pytest.raises(CapabilityError, match="the native engine cannot do proxies") as unable:
        choose_engine(replace(PLAN, engine="native", needs=("proxy",)), BOTH)
    assert unable.value.problems[0].code == "engine_cannot"


def test_a_plan_that_no_engine_can_run_names_the_feature() -> None:
    with pytest.raises(CapabilityError) as refused:
        choose_engine(replace(PLAN, needs=("http2", "redirects", "telepathy")), BOTH)
    assert [problem.what for problem in refused.value.problems] == [
        "the native engine cannot do HTTP/2, redirects, telepathy",
        "the asyncio engine cannot do HTTP/2, telepathy",
    ]
