"""The checks of `atm doctor`: limits and load of this machine, each with a health and a hint."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from atm.dataclass import dataclass
from atm.engine.environment import usable_cores
from atm.version import VERSION


class Health(StrEnum):
    """Effect of a check's result on measurements."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check of this machine."""

    name: str
    health: Health
    fact: str
    hint: str = ""
    """How to improve it; empty if there is nothing to do."""


def versions() -> Check:
    """Report the versions to include in a bug report."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return Check("versions", Health.GOOD, f"atm {VERSION}, Python {platform.python_version()}, {system}")


def engine() -> Check:
    """Report the engine that `auto` selects, and why."""
    if find_spec("atm_engine"):
        return Check("engine", Health.GOOD, "native, the default")
    return Check("engine", Health.GOOD, "asyncio: the native engine is not installed")


def event_loop() -> Check:
    """Check whether the asyncio engine can use uvloop."""
    if find_spec("uvloop"):
        return Check("event loop", Health.GOOD, "uvloop")
    return Check("event loop", Health.WARN, "asyncio's own", "`pip install uvloop` about halves the CPU per request")


ENOUGH_DESCRIPTORS = 10_240


def file_descriptors(limits: tuple[int, int] | None = None) -> Check:
    """Check how many connections can be open at once. `limits` is (soft, hard), by default of this process."""
    if limits is None:
        try:
            import resource
        except ImportError:  # Windows has no such limit
            return Check("file descriptors", Health.GOOD, "not limited here")
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = (2**63 if limit < 0 else limit for limit in limits)
    if hard >= 2**62:
        return Check("file descriptors", Health.GOOD, f"{soft:,} now, no upper limit")
    fact = f"{soft:,} now, atm raises it up to {hard:,}" if soft < hard else f"{hard:,}"
    if hard >= ENOUGH_DESCRIPTORS:
        return Check("file descriptors", Health.GOOD, fact)
    hint = f"`ulimit -Hn 65536` as root; until then about {hard - 100:,} users at most"
    return Check("file descriptors", Health.WARN, fact, hint)


ENOUGH_PORTS = 20_000
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def local_ports(path: Path = _PORT_RANGE) -> Check | None:
    """Check how many connections to one address this host can have; None where the system does not report it."""
    try:
        first, last = (int(word) for word in path.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return None
    count = last - first + 1
    fact = f"{count:,} per target address ({first} to {last})"
    if count >= ENOUGH_PORTS:
        return Check("local ports", Health.GOOD, fact)
    return Check("local ports", Health.WARN, fact, "`sysctl -w net.ipv4.ip_local_port_range='10240 65535'` as root")


def cores(count: int | None = None) -> Check:
    """Check the number of cores for the load generator."""
    count = usable_cores() if count is None else count
    if count == 1:
        hint = "A target on this machine shares it with the generator: lower rates, or two machines"
        return Check("cores", Health.WARN, "1", hint)
    return Check("cores", Health.GOOD, f"{count}")


def cpu_quota(root: Path = Path("/sys/fs/cgroup")) -> Check | None:
    """Check the container's CPU limit in cores; None where there is none or it cannot be read."""
    quota = _quota_v2(root) or _quota_v1(root)
    if quota is None:
        return None
    fact = f"{quota:.3g} cores allowed by the container (cgroup)"
    if quota >= 1:
        return Check("CPU limit", Health.GOOD, fact)
    hint = "Below one core the generator is paused within each second: `docker run --cpus 2` or more"
    return Check("CPU limit", Health.BAD, fact, hint)


def _quota_v2(root: Path) -> float | None:
    try:
        quota, period = (root / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _quota_v1(root: Path) -> float | None:
    try:
        quota = int((root / "cpu" / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        period = int((root / "cpu" / "cpu.cfs_period_us").read_text(encoding="ascii"))
        return None if quota <= 0 else quota / period
    except (OSError, ValueError):
        return None


def timer(late_ns: list[int] | None = None) -> Check:
    """Measure how late a sleep of 1 ms wakes up: the lower bound of the schedule lag."""
    late = sorted(_lateness() if late_ns is None else late_ns)
    middle, worst = late[len(late) // 2] / 1e6, late[-1] / 1e6
    fact = f"wakes {middle:.2f} ms late in the median, {worst:.2f} ms at worst ({len(late)} sleeps of 1 ms)"
    if middle <= 0.5:
        return Check("timer", Health.GOOD, fact)
    health = Health.WARN if middle <= 2 else Health.BAD
    return Check("timer", health, fact, "A busy or throttled machine: stop other work, or measure from another one")


def _lateness() -> list[int]:
    late = []
    for _ in range(50):
        start = time.monotonic_ns()
        time.sleep(0.001)
        late.append(time.monotonic_ns() - start - 1_000_000)
    return late


def busy(load: float | None = None, count: int | None = None) -> Check | None:
    """Check for other work by the load average of the last minute; None where the system has none."""
    if load is None:
        if not hasattr(os, "getloadavg"):
            return None
        load = os.getloadavg()[0]
    count = usable_cores() if count is None else count
    fact = f"load average {load:.2f} on {count} {'core' if count == 1 else 'cores'}"
    if load <= 0.7 * count:
        return Check("other work", Health.GOOD, fact)
    return Check("other work", Health.WARN, fact, "Something else is using this machine; `top` shows what")


CHECKS: tuple[Callable[[], Check | None], ...] = (
    versions,
    engine,
    event_loop,
    file_descriptors,
    local_ports,
    cores,
    cpu_quota,
    timer,
    busy,
)


def examine() -> list[Check]:
    """Run all checks that this system supports, in order; takes about 60 ms, mostly sleeping."""
    return [result for check in CHECKS if (result := check()) is not None]
