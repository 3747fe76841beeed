"""Names to addresses, before the run: engines dial what is found here, and what they find later by the same rules.

Resolving may block for seconds, so it happens in threads; literal addresses pass as they are.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from atm.metrics.histogram import Histogram
from atm.metrics.interval import Interval
from atm.plan.load_plan import LoadPlan, Origin
from atm.plan.targets import TargetRules


@dataclass(frozen=True, slots=True)
class Resolved:
    """A plan whose origins carry addresses (or say why not), and how long each name took."""

    plan: LoadPlan
    times: Histogram
    """ns per name; empty where all origins are addresses."""

    def noting(self, on_interval: Callable[[Interval], None]) -> Callable[[Interval], None]:
        """`on_interval`, with the times put into the first interval's `generator.dns`."""
        times = self.times

        def note(interval: Interval) -> None:
            if interval.second == 0:
                interval.generator.dns.merge(times)
            on_interval(interval)

        return note


async def resolve_origins(plan: LoadPlan) -> Resolved:
    """Find the addresses of everything that the plan dials: its proxy if it has one, else its origins.

    A name that cannot be resolved is no error here: its origin gets a `resolve_error`, and its requests fail with it.
    """
    times = Histogram()
    proxy = plan.connections.proxy
    rules = plan.connections.targets
    if proxy:
        origin = await _resolved(proxy.origin, times, rules)
        connections = replace(plan.connections, proxy=replace(proxy, origin=origin))
        return Resolved(replace(plan, connections=connections), times)
    origins = await asyncio.gather(*(_resolved(origin, times, rules) for origin in plan.origins))
    return Resolved(replace(plan, origins=tuple(origins)), times)


async def _resolved(origin: Origin, times: Histogram, rules: TargetRules | None) -> Origin:
    if origin.addresses:
        return origin
    host = origin.connect_host or origin.host
    if is_address(host):
        refusal = rules.refusal(host, host) if rules else ""
        return replace(origin, resolve_error=refusal) if refusal else replace(origin, addresses=(host,))
    began = time.monotonic_ns()
    addresses, error = await look_up(host, origin.connect_port or origin.port, rules)
    times.record(time.monotonic_ns() - began)
    return replace(origin, addresses=addresses, resolve_error=error)


async def look_up(host: str, port: int, rules: TargetRules | None = None) -> tuple[tuple[str, ...], str]:
    """`addresses_of`, without blocking. Who stops waiting is rid of it: a resolver that is silent holds up no end."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[tuple[str, ...], str]] = loop.create_future()

    def tell(found: tuple[tuple[str, ...], str] | None, error: Exception | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        elif found is not None:
            answer.set_result(found)

    def work() -> None:
        found, failure = None, None
        try:
            found = addresses_of(host, port, rules)
        except Exception as error:  # noqa: BLE001 (it goes to whoever waits)
            failure = error
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            loop.call_soon_threadsafe(tell, found, failure)

    # Threads of an executor are waited for when the loop and the interpreter end.
    threading.Thread(target=work, name="resolve", daemon=True).start()
    return await answer


def addresses_of(host: str, port: int, rules: TargetRules | None = None) -> tuple[tuple[str, ...], str]:
    """The addresses of `host` that may be dialled, in the resolver's order, or none and the reason. Blocks."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in _UNKNOWN:
            return (), f'the name "{host}" does not exist'
        return (), f'the name "{host}" could not be resolved: {(error.strerror or str(error)).lower()}'
    except UnicodeError:
        return (), f'the name "{host}" does not exist'
    return allowed_of(host, tuple(dict.fromkeys(str(entry[4][0]) for entry in found)), rules)


def allowed_of(host: str, addresses: tuple[str, ...], rules: TargetRules | None) -> tuple[tuple[str, ...], str]:
    """Those of the addresses that may be dialled; where there are some and none may be, why not the first."""
    if rules is None or not addresses:
        return addresses, ""
    refusals = {address: rules.refusal(host, address) for address in addresses}
    allowed = tuple(address for address in addresses if not refusals[address])
    return allowed, "" if allowed else next(iter(refusals.values()))


_UNKNOWN = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


def is_address(host: str) -> bool:
    """Whether `host` needs no looking up."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
