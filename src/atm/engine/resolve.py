"""Resolve names to addresses before the run; engines re-resolve by the same target rules.

Resolving may block for seconds, so it runs in threads; literal addresses are passed through.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from atm.dataclass import dataclass
from atm.metrics.histogram import Histogram
from atm.metrics.interval import Interval
from atm.plan.connections import Origin
from atm.plan.load_plan import LoadPlan
from atm.plan.targets import TargetRules


@dataclass(frozen=True, slots=True)
class Resolved:
    """A plan whose origins carry addresses (or a resolve error), and how long each name took."""

    plan: LoadPlan
    times: Histogram
    """ns per name; empty where all origins are addresses."""

    def with_dns_times(self, on_interval: Callable[[Interval], None]) -> Callable[[Interval], None]:
        """Wrap `on_interval` to add the times to the first interval's `generator.dns`."""
        times = self.times

        def note(interval: Interval) -> None:
            if interval.second == 0:
                interval.generator.dns.merge(times)
            on_interval(interval)

        return note


async def resolve_origins(plan: LoadPlan) -> Resolved:
    """Resolve every name that the plan dials: its proxy if it has one, else its origins.

    An unresolvable name is no error here: its origin gets a `resolve_error`, and its requests fail with it.
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
    """Resolve without blocking, as `addresses_of`. Cancelling returns at once, even if the resolver hangs."""
    loop = asyncio.get_running_loop()
    resolved: asyncio.Future[tuple[tuple[str, ...], str]] = loop.create_future()

    def settle(addresses: tuple[tuple[str, ...], str] | None, error: Exception | None) -> None:
        if resolved.done():
            return
        if error is not None:
            resolved.set_exception(error)
        elif addresses is not None:
            resolved.set_result(addresses)

    def work() -> None:
        addresses, failure = None, None
        try:
            addresses = addresses_of(host, port, rules)
        except Exception as error:  # noqa: BLE001 (raised by the awaiting task)
            failure = error
        with suppress(RuntimeError):  # the loop has ended, so no task waits for the result
            loop.call_soon_threadsafe(settle, addresses, failure)

    # An executor's threads are joined when the loop and the interpreter end; a hanging resolver would delay both.
    threading.Thread(target=work, name="resolve", daemon=True).start()
    return await resolved


def addresses_of(host: str, port: int, rules: TargetRules | None = None) -> tuple[tuple[str, ...], str]:
    """Return the allowed addresses of `host` in the resolver's order, or none and the reason. Blocks."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in _UNKNOWN:
            return (), f'the name "{host}" does not exist'
        return (), f'the name "{host}" could not be resolved: {(error.strerror or str(error)).lower()}'
    except UnicodeError:
        return (), f'the name "{host}" does not exist'
    return allowed_of(host, tuple(dict.fromkeys(str(entry[4][0]) for entry in addresses)), rules)


def allowed_of(host: str, addresses: tuple[str, ...], rules: TargetRules | None) -> tuple[tuple[str, ...], str]:
    """Filter the addresses by the target rules; if none of them is allowed, return the reason for the first."""
    if rules is None or not addresses:
        return addresses, ""
    refusals = {address: rules.refusal(host, address) for address in addresses}
    allowed = tuple(address for address in addresses if not refusals[address])
    return allowed, "" if allowed else next(iter(refusals.values()))


_UNKNOWN = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


def is_address(host: str) -> bool:
    """Return whether `host` is a literal address."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
