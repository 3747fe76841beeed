from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from statistics import median

import pytest

from atm.engine.asyncio_engine.alarm import Alarm, LoopTimer, TimerFile
from atm.engine.asyncio_engine.engine import quickest_loop
from tests.steadiness import allowed

MakeAlarm = Callable[[asyncio.AbstractEventLoop, Callable[[], None]], Alarm]


@pytest.mark.parametrize("new_loop", [quickest_loop, asyncio.SelectorEventLoop])
@pytest.mark.parametrize("kind", [TimerFile, LoopTimer])
def test_an_alarm_rings_on_the_fraction_of_a_millisecond(
    kind: MakeAlarm, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    loop = new_loop()
    late: list[int] = []
    wanted = 0
    done = loop.create_future()

    def ring() -> None:
        nonlocal wanted
        late.append(time.monotonic_ns() - wanted)
        if len(late) == 40:
            done.set_result(None)
            alarm.close()
        else:
            wanted = time.monotonic_ns() + 2_300_000
            alarm.set(wanted)

    alarm = kind(loop, ring)
    wanted = time.monotonic_ns() + 1_000_000
    alarm.set(wanted)
    cpu = time.process_time()
    loop.run_until_complete(done)
    loop.close()
    assert min(late) >= 0
    assert median(late) < allowed(700_000)
    assert time.process_time() - cpu < 0.15


@pytest.mark.parametrize("kind", [TimerFile, LoopTimer])
def test_a_new_moment_replaces_the_old_one(kind: MakeAlarm) -> None:
    loop = asyncio.new_event_loop()
    rang: list[int] = []

    def ring() -> None:
        rang.append(time.monotonic_ns())
        alarm.set(time.monotonic_ns() + 3_600_000_000_000)

    alarm = kind(loop, ring)
    start = time.monotonic_ns()
    alarm.set(start + 5_000_000)
    alarm.set(start + 20_000_000)
    loop.run_until_complete(asyncio.sleep(0.04))
    alarm.close()
    loop.close()
    assert len(rang) == 1
    assert rang[0] - start >= 20_000_000


@pytest.mark.parametrize("kind", [TimerFile, LoopTimer])
def test_a_moment_that_has_passed_rings_at_once(kind: MakeAlarm) -> None:
    loop = asyncio.new_event_loop()
    rang = loop.create_future()
    alarm = kind(loop, lambda: None if rang.done() else rang.set_result(None))
    alarm.set(1)
    loop.run_until_complete(asyncio.wait_for(rang, 1))
    alarm.close()
    loop.close()
