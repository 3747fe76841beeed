"""An engine in a process of its own, so that a test can freeze it: python -m tests.contract.child ENGINE < plan.

Writes each interval as a line of JSON as it comes, and the report's end as the last line.
"""

from __future__ import annotations

import asyncio
import json
import sys

from atm.engine.base import Control
from atm.metrics.interval import Interval
from atm.plan.load_plan import LoadPlan
from atm.plan.plan_decoder import decode
from tests.contract.engines import ENGINES


def run_here(name: str, plan: LoadPlan, control: Control | None = None) -> None:
    """Run a plan, and write what the engine tells."""

    def write(interval: Interval) -> None:
        sys.stdout.buffer.write(interval.to_bytes() + b"\n")
        sys.stdout.buffer.flush()

    asyncio.run(ENGINES[name]().run(plan, {}, write, control or Control()))


if __name__ == "__main__":
    run_here(sys.argv[1], decode(LoadPlan, json.load(sys.stdin)))
