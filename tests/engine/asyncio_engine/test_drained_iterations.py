"""Iterations that end after the end of sending are in the totals, and not in the rate of the window."""

from __future__ import annotations

import atm
from atm.testing import TargetServer


def test_iterations_that_end_while_draining_are_not_in_the_rate() -> None:
    with TargetServer() as target:
        result = atm.run_sync(
            {
                "name": "shop",
                "engine": "asyncio",
                "base_url": target.url,
                "load": {"rate": 20},
                "duration": 1,
                "scenarios": {"browse": {"steps": [{"GET": "/"}, {"think": "700ms"}]}},
            }
        )
    (browse,) = result.scenarios
    assert (browse.started, browse.completed) == (20, 20)
    # Those that start after the first 300 ms end after the window of a second.
    assert browse.iterations_per_second <= 7
