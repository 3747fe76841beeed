from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from atm.engine.base import Control
from atm.engine.choose import choose_engine
from atm.engine.native_engine import NativeEngine, absence, load_native_engine
from atm.errors import CapabilityError, EngineError
from atm.library import run as run_of_library
from atm.metrics.interval import Interval
from atm.models.outcome import RunStatus, StopReason
from atm.models.run import Measurement, RunResult
from atm.plan.connections import Origin
from atm.plan.load_plan import PLAN_FORMAT, BodyCheck
from atm.plan.template_parts import SecretPart
from atm.testing import TargetServer
from tests.contract.engine_runs import received, run
from tests.contract.plans import closed, http, opened, plan, step
from tests.contract.test_answers import raw
from tests.steadiness import allowed

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


HELD = 0.5


def test_load_goes_on_while_python_holds_its_lock(target: TargetServer) -> None:
    def hold(_control: Control) -> None:
        # Unlike CDLL, PyDLL keeps the global interpreter lock: no line of Python runs anywhere meanwhile.
        ctypes.PyDLL(None).usleep(int(HELD * 1e6))

    ran = run(NativeEngine(), plan(http(target), load=opened(200), duration=1.2), once=(received(target, 20), hold))
    assert ran.total().ok == 240
    arrived = [row.arrived_ns for row in target.record()]
    assert max(later - earlier for earlier, later in pairwise(arrived)) / 1e9 < min(HELD * 0.8, allowed(0.1))
    assert (ran.lag.percentile(95) or 0) / 1e9 < min(HELD * 0.8, allowed(0.01))


def pollers() -> set[int]:
    """The descriptors of this process by which event loops wait."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            if "eventpoll" in os.readlink(f"/proc/self/fd/{name}"):
                found.add(int(name))
        except OSError:
            continue  # the one by which the folder was read
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="what makes a load thread die is found in /proc/self/fd")
def test_a_load_thread_that_dies_fails_the_run_with_its_message(target: TargetServer) -> None:
    async def main() -> RunResult:
        others = pollers()

        def take_away(_interval: Interval) -> None:
            # Found once: after that it is a poller no more.
            for poller in pollers() - others:
                with Path("/dev/null").open("rb") as nothing:
                    # Its next wait fails, which the thread takes for a defect of its own.
                    os.dup2(nothing.fileno(), poller)

        spec = {"name": "dies", "url": target.url + "/fixed", "requests_per_second": 100, "duration": 30}
        return await run_of_library(spec, on_interval=take_away)

    result = asyncio.run(main())
    assert (result.run.status, result.run.stop_reason) == (RunStatus.FAILED, StopReason.FAILED)
    assert (result.run.error or "").startswith("a load thread died: waiting for events: ")
    assert result.verdict.measurement is Measurement.INVALID
    assert "worker_lost" in {reason.code for reason in result.verdict.reasons}
    # What it had measured until then is kept.
    assert result.metrics.successful_requests > 0


CODED = {
    # By Node's zlib.brotliCompressSync, and by the program zstd 1.5.
    "br": "1b1c00f81d09364ed437269ed5185a83b0b0b5c937b6b26a059e3a809bae81f00f",
    "zstd": "28b52ffd0458c500009068656c6c6f202c20636f6d707265737365640100314a11eccc69a8",
}


@pytest.mark.parametrize("coding", CODED)
def test_checks_see_what_brotli_and_zstandard_have_packed(target: TargetServer, coding: str) -> None:
    body = bytes.fromhex(CODED[coding])
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s" % (
        coding.encode(), len(body), body,
    )  # fmt: skip
    steps = [
        step(raw(answer), checks=(BodyCheck("contains", text),))
        for text in ("hello hello hello, compressed", "something else")
    ]
    ran = run(NativeEngine(), plan(http(target), *steps, total=4))
    assert (ran.total(0).ok, ran.total(1).failed) == (2, 2)
    # What is counted is what came over the wire.
    assert ran.total().bytes_received == 4 * len(answer)
    assert {sample.response.body for sample in ran.samples if sample.response} == {"hello hello hello, compressed"}
