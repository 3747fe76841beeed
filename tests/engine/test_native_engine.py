from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from atm.engine.base import Control
from atm.engine.choose import choose_engine
from atm.engine.native_engine import NativeEngine, absence, load_native_engine
from atm.errors import CapabilityError, EngineError
from atm.metrics.interval import Interval
from atm.plan.load_plan import PLAN_FORMAT, BodyCheck, Origin, SecretPart
from atm.testing import TargetServer
from tests.contract.plans import closed, http, plan, step

pytestmark = pytest.mark.skipif(load_native_engine() is None, reason=absence())


NOWHERE = Origin("http", "127.0.0.1", 1, addresses=("127.0.0.1",))


def test_an_engine_that_reads_another_format_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import atm_engine

    monkeypatch.setattr(atm_engine, "PLAN_FORMAT", PLAN_FORMAT + 1)
    made = plan(NOWHERE)
    engine, reason = choose_engine(made)
    assert engine.name == "asyncio"
    assert f"reads plan format {PLAN_FORMAT + 1}, this version writes {PLAN_FORMAT}" in reason
    with pytest.raises(CapabilityError, match="reads plan format"):
        choose_engine(replace(made, engine="native"))


def test_a_plan_that_it_refuses_goes_to_the_other_engine_with_the_reason() -> None:
    # No engine but Python's own has a conditional that looks back at a group.
    made = plan(NOWHERE, step(checks=(BodyCheck("regex", "(a)(?P<x>(?P=y))"),)))
    assert NativeEngine().refusal(made)
    _, reason = choose_engine(made)
    assert reason.startswith("asyncio: the native engine refuses the plan (flows[0].steps[0]: a check's pattern")
    with pytest.raises(CapabilityError, match="refuses the plan"):
        choose_engine(replace(made, engine="native"))


def test_a_missing_secret_is_an_engine_error() -> None:
    one = step()
    made = plan(NOWHERE, replace(one, target=(*one.target, SecretPart("token"))))
    with pytest.raises(EngineError, match="token"):
        asyncio.run(NativeEngine().run(made, {}, lambda _: None, Control()))


def test_what_the_callers_function_raises_ends_the_run(target: TargetServer) -> None:
    def refuse(_: Interval) -> None:
        raise KeyError("mine")

    made = plan(http(target), load=closed(2), duration=30)
    with pytest.raises(KeyError, match="mine"):
        asyncio.run(NativeEngine().run(made, {}, refuse, Control()))


def test_no_load_outlives_whoever_awaited_it(target: TargetServer) -> None:
    made = plan(http(target), step("/delay/10"), load=closed(2), duration=30)

    async def main() -> None:
        run = asyncio.create_task(NativeEngine().run(made, {}, lambda _: None, Control()))
        await asyncio.sleep(0.2)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(main())
    target.settled_stats()
    target.reset()
    assert target.settled_stats().received == 0
