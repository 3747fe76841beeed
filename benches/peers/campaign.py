"""A campaign: all measurements in order, with repeats, and the resulting document.

Within a repeat each client is measured once, directly after one another, because the clock rate of a machine drifts. A
row that cannot be measured contains the reason.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from atm.errors import AtmError
from benches.measure import ROOT, MeasurementError, processor
from benches.peers import closed_rows, install, instructions, paced_rows, truth_rows
from benches.peers.clients import CLIENTS
from benches.peers.closed_rows import AGAINST_RESPONDER, AT_EQUAL_RATES, SCENARIOS, Scenario, Window
from benches.peers.install import NotInstalledError
from benches.peers.nginx import Nginx
from benches.peers.quota import PERIOD_MICROSECONDS, Quota
from benches.peers.responder import Responder
from benches.peers.server import Server

SECTIONS = (
    *(scenario.key for scenario in (*SCENARIOS, *AGAINST_RESPONDER, *AT_EQUAL_RATES)),
    "quota",
    "instructions",
    "rates",
    "delays",
    "pause",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of a campaign. The defaults take under 15 minutes."""

    sections: tuple[str, ...] = SECTIONS
    clients: tuple[str, ...] = tuple(CLIENTS)
    repeats: int = 3
    open_repeats: int = 1
    long_window_seconds: float = 5.0
    """Seconds of the first scenario, the source of most figures."""
    window_seconds: float = 2.0
    instructions_seconds: float = 2.0
    paced_seconds: int = paced_rows.SECONDS
    quota_share: float = 0.4


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement: the section of its result, and the function that measures."""

    section: str
    client: str
    take: Callable[[], Any]


class Campaign:
    """Takes all measurements of a campaign, reports progress and collects the results."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self.settings = settings
        self._say = say
        self._missing: dict[str, str] = {}
        self._rows: dict[str, dict[str, dict[str, Any]]] = {}
        self._quota_kind = ""
        self._began = time.monotonic()

    def run(self) -> dict[str, Any]:
        """Measure and return the document. Raises MeasurementError without nginx."""
        self._look_for_tools()
        with ExitStack() as stack:
            jobs = list(self._jobs(stack))
            total = len(jobs)
            for number, job in enumerate(jobs, start=1):
                self._take(job, f"[{number:3}/{total}] {time.monotonic() - self._began:4.0f} s")
        return self.document()

    def document(self) -> dict[str, Any]:
        """Return all results with machine, versions and options."""
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
        return {
            "bench": "peers",
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "took_seconds": round(time.monotonic() - self._began),
            "commit": commit.stdout.strip() or None,
            "machine": {
                "processor": processor(),
                "cores": os.cpu_count(),
                "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
                "system": f"{platform.system()} {platform.release()}",
                "python": platform.python_version(),
                "load_before": self._load,
            },
            "settings": {**asdict(self.settings), "quota": self._quota_kind},
            "versions": self._versions,
            "sections": self._rows,
        }

    def _look_for_tools(self) -> None:
        self._load = os.getloadavg()[0]
        self._versions: dict[str, str | None] = {}
        for name in ("nginx", "responder", *self.settings.clients):
            tool = CLIENTS[name].tool if name in CLIENTS else name
            try:
                install.path_of(tool)
            except NotInstalledError as error:
                self._missing[name] = f"not installed: {error}"
            else:
                self._versions[tool] = install.version_of(tool)

    def _jobs(self, stack: ExitStack) -> Iterator[Job]:
        wanted = set(self.settings.sections)
        closed_scenarios = [scenario for scenario in SCENARIOS if scenario.key in wanted]
        if closed_scenarios or wanted & {"quota", "instructions"}:
            if "nginx" in self._missing:
                raise MeasurementError(f"nginx is {self._missing['nginx']}")
            nginx = stack.enter_context(Nginx(install.path_of("nginx"), closed_rows.SERVER_CPU))
            yield from self._closed_jobs(closed_scenarios, nginx)
            if "quota" in wanted:
                yield from self._quota_jobs(stack, nginx)
            if "instructions" in wanted:
                yield from self._instructions_jobs(nginx)
        against_responder = (*AGAINST_RESPONDER, *AT_EQUAL_RATES)
        yield from self._responder_jobs(stack, [scenario for scenario in against_responder if scenario.key in wanted])
        if "rates" in wanted:
            yield from self._rate_jobs()
        for case in truth_rows.Case:
            if case.value in wanted:
                yield from self._truth_jobs(case)

    def _responder_jobs(self, stack: ExitStack, scenarios: Sequence[Scenario]) -> Iterator[Job]:
        if not scenarios:
            return
        if "responder" in self._missing:
            for scenario in scenarios:
                for name in scenario.clients:
                    self._row(scenario.key, name)["problem"] = f"responder is {self._missing['responder']}"
            return
        server = stack.enter_context(Responder(install.path_of("responder"), closed_rows.SERVER_CPU))
        yield from self._closed_jobs(scenarios, server)

    def _closed_jobs(self, scenarios: Sequence[Scenario], server: Server) -> Iterator[Job]:
        settings = self.settings
        for scenario in scenarios:
            window = Window(settings.long_window_seconds if scenario.long_window else settings.window_seconds)
            for name in self._interleaved(scenario.key, scenario.clients, settings.repeats):
                yield self._closed_job(scenario.key, name, scenario, server, window)

    def _quota_jobs(self, stack: ExitStack, nginx: Nginx) -> Iterator[Job]:
        try:
            quota = stack.enter_context(Quota(self.settings.quota_share))
        except MeasurementError as error:
            for name in closed_rows.QUOTA.clients:
                self._row("quota", name)["problem"] = str(error)
            return
        self._quota_kind = f"{quota.kind}, period {PERIOD_MICROSECONDS // 1000} ms"
        window = Window(self.settings.window_seconds, group=quota.path)
        for name in self._interleaved("quota", closed_rows.QUOTA.clients, self.settings.repeats):
            yield self._closed_job("quota", name, closed_rows.QUOTA, nginx, window)

    def _instructions_jobs(self, nginx: Nginx) -> Iterator[Job]:
        scenario = next(scenario for scenario in SCENARIOS if scenario.key == "h1")
        try:
            instructions.count([os.getpid()], 0.01)
        except MeasurementError as error:
            for name in scenario.clients:
                self._row("instructions", name)["problem"] = str(error)
            return
        window = Window(0.2, instructions_seconds=self.settings.instructions_seconds)
        for name in self._interleaved("instructions", scenario.clients, 1):
            yield self._closed_job("instructions", name, scenario, nginx, window)

    def _rate_jobs(self) -> Iterator[Job]:
        for rate, names in paced_rows.CLIENTS.items():
            section = f"rate {rate}"
            for name in self._interleaved(section, names, self.settings.open_repeats):
                seconds = self.settings.paced_seconds
                yield Job(section, name, partial(paced_rows.measure, CLIENTS[name], rate, seconds))

    def _truth_jobs(self, case: truth_rows.Case) -> Iterator[Job]:
        for name in self._interleaved(case.value, truth_rows.CLIENTS, self.settings.open_repeats):
            yield Job(case.value, name, partial(truth_rows.measure, CLIENTS[name], case))

    def _closed_job(self, section: str, name: str, scenario: Scenario, server: Server, window: Window) -> Job:
        return Job(section, name, partial(closed_rows.measure, CLIENTS[name], scenario, server, window))

    def _interleaved(self, section: str, names: Sequence[str], repeats: int) -> Iterator[str]:
        """Yield each installed client once per repeat; missing clients get their row first."""
        present = [name for name in names if name in self.settings.clients and name not in self._missing]
        for name in names:
            if name in self.settings.clients and name in self._missing:
                self._row(section, name)["problem"] = self._missing[name]
        for _ in range(repeats):
            yield from present

    def _take(self, job: Job, progress: str) -> None:
        row = self._row(job.section, job.client)
        if "problem" in row:
            return
        try:
            sample = job.take()
        except (MeasurementError, AtmError, OSError, subprocess.SubprocessError, LookupError) as error:
            # A client that failed is not measured again; its row contains the reason, and the others continue.
            row["problem"] = str(error)
            self._say(f"{progress}  {job.section}: {job.client}: {error}")
        else:
            figures = asdict(sample)
            row["command"] = figures.pop("command")
            row.setdefault("samples", []).append(figures)
            self._say(f"{progress}  {job.section}: {job.client}: {_in_short(sample)}")

    def _row(self, section: str, client: str) -> dict[str, Any]:
        return self._rows.setdefault(section, {}).setdefault(client, {})


def quick(settings: Settings) -> Settings:
    """Return smaller options that test the harness; the figures are not meaningful."""
    return replace(
        settings,
        repeats=1,
        open_repeats=1,
        long_window_seconds=1.0,
        window_seconds=1.0,
        instructions_seconds=0.5,
        paced_seconds=4,
    )


def install_all(names: Sequence[str]) -> None:
    """Install what the clients need; print one line per failure."""
    for tool in dict.fromkeys(("nginx", "responder", *(CLIENTS[name].tool for name in names))):
        try:
            install.install(tool)
        except NotInstalledError as error:
            print(f"peers: {tool}: not installed: {error}", file=sys.stderr, flush=True)


def _in_short(sample: closed_rows.ClosedSample | paced_rows.PacedSample | truth_rows.TruthSample) -> str:
    if isinstance(sample, closed_rows.ClosedSample):
        return f"{sample.cpu_per_100k:.2f} CPU s per 100,000 requests, {sample.rate:,.0f} requests/s"
    if isinstance(sample, paced_rows.PacedSample):
        return f"{sample.rate:,.1f} requests/s, spread {sample.spread:.2f}, {sample.cpu_share:.0%} CPU"
    said, true = sample.printed, sample.truth
    return f"p50 {said.p50} ({true.p50:.3g}), p90 {said.p90} ({true.p90:.4g}), p99 {said.p99} ({true.p99:.4g}) ms"
