"""What the controller of a fleet spends on each worker and second, by simulated seconds of 100 workers.

A second passes through everything that the controller does with it after the transport: its message is decoded, its
figures are merged with those of the other workers, and the worker is judged.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from atm.fleet import messages
from atm.fleet.actions import Second
from atm.fleet.records import Step
from atm.fleet.state import FleetRun
from atm.fleet.worker import description
from atm.fleet.workers import Workers
from atm.library import compile_spec
from atm.metrics.interval import EndpointInterval, GeneratorInterval, Interval
from atm.models.outcome import Outcome
from atm.plan.load_plan import LoadPlan
from benches.measure import Figure

WORKERS = 100
SECONDS = 3
DIFFERENT = 10
"""Answers that are made for each second; workers share them."""
REQUESTS = 2_000
"""Of each worker in each second, divided among its endpoints."""
ENDPOINTS = (1, 10, 50)
_MEDIAN_LOG, _SPREAD = 16.1, 0.3
"""Service times: log-normal, with a median of 10 ms."""


@dataclass(frozen=True, slots=True)
class _Cost:
    cpu_ms: float
    received_bytes: int
    event_bytes: int


def rows() -> list[Figure]:
    """Measure with several numbers of endpoints."""
    found: list[Figure] = []
    for endpoints in ENDPOINTS:
        cost = _cost(endpoints)
        title = f"{WORKERS} simulated workers, {endpoints} endpoint{'s' if endpoints > 1 else ''}"
        found += [
            Figure(f"{title}: controller CPU per worker and second", cost.cpu_ms, "ms"),
            Figure(f"{title}: workers that one core of a controller can follow", 1e3 / cost.cpu_ms, "workers"),
            Figure(f"{title}: received per worker and second", cost.received_bytes / 1024, "KiB"),
            Figure(f"{title}: recorded per second of the run", cost.event_bytes / 1024, "KiB"),
        ]
    return found


def _cost(endpoints: int) -> _Cost:
    plan = _plan(endpoints)
    run = FleetRun(plan, [1] * WORKERS, {}, shares_clock=[True] * WORKERS)
    run.prepare(0)
    for record in run.workers:
        record.step = Step.RUNNING
    merged: list[Interval] = []
    names = [f"worker {number} on node-{number}" for number in range(WORKERS)]
    workers = Workers(plan, names, [description()] * WORKERS, run, merged.append, "native")
    chance = random.Random(1)
    spent, received = 0.0, 0
    for number in range(SECONDS):
        different = [_answer(number, endpoints, chance) for _ in range(DIFFERENT)]
        answers = [different[worker % DIFFERENT] for worker in range(WORKERS)]
        received += sum(map(len, answers))
        before = time.process_time()
        parts = {}
        for worker, answer in enumerate(answers):
            pulled = messages.decode_answer(answer)
            assert isinstance(pulled, messages.Pulled)
            parts[worker, 0] = pulled.loads[0].seconds[0]
        workers.take(Second(number, parts))
        spent += time.process_time() - before
    count = SECONDS * WORKERS
    return _Cost(spent * 1e3 / count, received // count, len(merged[-1].to_bytes()))


def _plan(endpoints: int) -> LoadPlan:
    scenarios = {
        f"s{number}": {"weight": 1, "steps": [{"GET": f"http://127.0.0.1:1/{number}"}]} for number in range(endpoints)
    }
    load = {"load": {"rate": REQUESTS * WORKERS}, "duration": "60s"}
    return compile_spec({"name": "controller", "scenarios": scenarios, **load}).plan


def _answer(number: int, endpoints: int, chance: random.Random) -> bytes:
    """Return a worker's answer to a pull, with one second."""
    generator = GeneratorInterval(cpu_seconds=0.5, busiest_thread_share=0.5, in_flight=20, open_connections=64)
    parts = [EndpointInterval(index) for index in range(endpoints)]
    for request in range(REQUESTS):
        part, nanoseconds = parts[request % endpoints], int(chance.lognormvariate(_MEDIAN_LOG, _SPREAD))
        for histogram, value in (
            (part.response_ok, nanoseconds),
            (part.service, nanoseconds),
            (part.first_byte, nanoseconds * 49 // 50),
        ):
            histogram.record(value)
        generator.schedule_lag.record(int(chance.lognormvariate(10.8, 0.4)))
    for part in parts:
        part.started = REQUESTS // endpoints
        part.outcomes, part.statuses = {Outcome.OK: part.started}, {200: part.started}
    interval = Interval(number, "load", offered=REQUESTS, endpoints=parts, generator=generator)
    pulled = messages.PulledLoad(0, messages.WorkerState.RUNNING, number + 1, (interval.to_bytes(),))
    return messages.encode(messages.Pulled((pulled,)))
