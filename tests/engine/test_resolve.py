from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from atm.engine.resolve import resolve_origins
from atm.metrics.interval import Interval
from atm.plan.connections import Connections, Origin, Proxy
from atm.plan.load_plan import LoadPlan
from tests.engine.test_choose import PLAN


def with_origins(*origins: Origin) -> LoadPlan:
    return replace(PLAN, origins=origins)


def test_addresses_pass_and_names_are_found() -> None:
    made = with_origins(Origin("http", "127.0.0.1", 80), Origin("https", "::1", 443), Origin("http", "localhost", 8080))
    resolved = asyncio.run(resolve_origins(made))
    first, second, third = resolved.plan.origins
    assert first.addresses == ("127.0.0.1",)
    assert second.addresses == ("::1",)
    assert set(third.addresses) <= {"127.0.0.1", "::1"}
    assert third.addresses
    assert resolved.times.total == 1


def test_a_name_that_does_not_exist_is_told_in_the_plan() -> None:
    resolved = asyncio.run(resolve_origins(with_origins(Origin("http", "api.exmaple.invalid", 80))))
    (origin,) = resolved.plan.origins
    assert origin.addresses == ()
    assert origin.resolve_error == 'the name "api.exmaple.invalid" does not exist'
    strange = asyncio.run(resolve_origins(with_origins(Origin("http", "a" * 70 + ".test", 80))))
    assert "does not exist" in strange.plan.origins[0].resolve_error


def test_connect_to_overrides_the_name_that_is_looked_up() -> None:
    made = with_origins(Origin("https", "nowhere.invalid", 443, connect_host="127.0.0.1", connect_port=8443))
    (origin,) = asyncio.run(resolve_origins(made)).plan.origins
    assert origin.addresses == ("127.0.0.1",)
    assert origin.host == "nowhere.invalid"


def test_behind_a_proxy_only_the_proxy_is_looked_up() -> None:
    proxy = Proxy(Origin("http", "localhost", 3128))
    made = replace(with_origins(Origin("http", "inside.invalid", 80)), connections=Connections(proxy=proxy))
    resolved = asyncio.run(resolve_origins(made)).plan
    assert resolved.origins[0].addresses == ()
    assert resolved.origins[0].resolve_error == ""
    assert resolved.connections.proxy
    assert resolved.connections.proxy.origin.addresses


def test_the_times_stand_in_the_first_interval() -> None:
    resolved = asyncio.run(resolve_origins(with_origins(Origin("http", "localhost", 80))))
    seen: list[Interval] = []
    note = resolved.with_dns_times(seen.append)
    for second in (0, 1):
        note(Interval(second, "load"))
    assert [interval.generator.dns.total for interval in seen] == [1, 0]


def test_looking_up_does_not_hold_up_the_loop() -> None:
    async def main() -> float:
        longest, last = 0.0, time.monotonic()
        task = asyncio.create_task(resolve_origins(with_origins(Origin("http", "slow-name.invalid", 80))))
        while not task.done():
            await asyncio.sleep(0.001)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        return longest

    assert asyncio.run(main()) < 0.5
