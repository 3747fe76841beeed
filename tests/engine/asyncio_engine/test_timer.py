from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from atm.engine.asyncio_engine.engine import fastest_loop
from atm.engine.asyncio_engine.timer import LoopTimer, Timer, TimerFile
from tests.steadiness import allowed

MakeTimer = Callable[[asyncio.AbstractEventLoop, Callable[[], None]], Timer]


@pytest.mark.parametrize("new_loop", [fastest_loop, asyncio.SelectorEventLoop])
@pytest.mark.parametrize("kind", [TimerFile, LoopTimer])
def test_a_timer_rings_on_the_fraction_of_a_millisecond(
    kind: MakeTimer, new_loop: Callable[[], asyncio.AbstractEventLoop]
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
            timer.close()
        else:
            wanted = time.monotonic_ns() + 2_300_000
            timer.set(wanted)

    timer = kind(loop, ring)
    wanted = time.monotonic_ns() + 1_000_000
    timer.set(wanted)
    cpu = time.process_time()
    loop.run_until_complete(done)
    loop.close()
    assert min(late) >= 0
    # Of a quarter of the rings: the others may have come while the machine did something else.
    assert sorted(late)[10] < allowed(700_000)
    assert time.process_time() - cpu < 0.15


@pytest.mark.parametrize("kind", [TimerFile, LoopTimer])
def test_a_new_moment_replaces_the_old_one(kind: MakeTimer) -> None:
    loop = asyncio.new_event_loop()
    rang: list[int] = []

    def ring() -> None:
        rang.append(time.monotonic_ns())
        timer.set(time.monotonic_ns() + 3_600_000_000_000)

    timer = kind(loop, ring)
    start = time.monotonic_ns()
    timer.set(start + 5_000_000)
    timer.set(start + 20_000_000)
    loop.run_until_complete(asyncio.sleep(0.04))
    timer.close()
    loop.close()
    assert len(rang) == 1
    assert rang[0] - start >= 20_000_000


@pytest.mark.parametrize("kind", [TimerFile, LoopTimer])
def test_a_moment_that_has_passed_rings_at_once(kind: MakeTimer) -> None:
    loop = asyncio.new_event_loop()
    rang = loop.create_future()
    timer = kind(loop, lambda: None if rang.done() else rang.set_result(None))
    timer.set(1)
    loop.run_until_complete(asyncio.wait_for(rang, 1))
    timer.close()
    loop.close()
