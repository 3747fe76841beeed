"""The wait times of `locust.wait_time`: functions from a user or task set to seconds."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from atm.code.locust.chance import chance

WaitTime = Callable[[Any], float]


def between(min_wait: float, max_wait: float) -> WaitTime:
    """Wait a random time between two."""
    return lambda _holder: min_wait + chance().random() * (max_wait - min_wait)


def constant(wait_time: float) -> WaitTime:
    """Wait always the same time."""
    return lambda _holder: wait_time


def constant_pacing(wait_time: float) -> WaitTime:
    """Wait until this time has passed since the task before began; not at all if it took longer."""

    def wait(holder: Any) -> float:
        now = perf_counter()
        ran = now - holder._cp_last_run - holder._cp_last_wait_time
        holder._cp_last_wait_time = max(0.0, wait_time - ran)
        holder._cp_last_run = now
        return float(holder._cp_last_wait_time)

    return wait


def constant_throughput(task_runs_per_second: float) -> WaitTime:
    """Wait so that a user runs this number of tasks per second, or less if they take longer."""
    if task_runs_per_second <= 0:
        raise ValueError(f"constant_throughput() needs a positive rate, not {task_runs_per_second}")
    return constant_pacing(1 / task_runs_per_second)


def poisson(rate: float) -> WaitTime:
    """Wait an exponentially distributed time, on average `1/rate` seconds."""
    if rate <= 0:
        raise ValueError(f"poisson() needs a positive rate, not {rate}")
    return lambda _holder: chance().expovariate(rate)
