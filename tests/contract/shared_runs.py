"""Running a plan as shares, side by side, as the workers of a fleet do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from atm.engine.base import Engine
from atm.plan.load_plan import LoadPlan
from atm.plan.share import Share
from tests.contract.engine_runs import Ran, running
from tests.contract.plans import MILLISECOND

THREE = (Share((0,), 3), Share((1,), 3), Share((2,), 3))
UNEVEN = (Share((0, 2, 4), 6), Share((1, 5), 6), Share((3,), 6))


def run_shares(engine: Engine, plan: LoadPlan, shares: Sequence[Share] = THREE, lead_ms: int = 100) -> list[Ran]:
    """Run each share of a plan on an engine of its own, all with the same time zero."""

    async def main() -> list[Ran]:
        starts_at = time.monotonic_ns() + lead_ms * MILLISECOND
        runs = (running(engine, replace(plan, share=share), starts_at_ns=starts_at) for share in shares)
        return await asyncio.gather(*runs)

    return asyncio.run(main())


def together(runs: Sequence[Ran]) -> Ran:
    """The seconds of all shares; the report is that of the first."""
    return Ran(runs[0].report, [interval for ran in runs for interval in ran.intervals], runs[0].seconds)
