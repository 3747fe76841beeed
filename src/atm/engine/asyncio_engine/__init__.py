"""The asyncio engine: HTTP/1.1 from one Python thread; every request is accounted for.

Its four parts are `schedule` (when iterations start), `users` (iterations and requests), `transport` (connections and
bytes) and `ledger` (figures and samples). `run.py` is the loop that owns them, `lane_run.py` one of the loads that it
runs side by side, `engine.py` the thread around the loop. May import what `engine` may, and is the only place that
imports httptools and uvloop. Start with `run.py`, then `lane_run.py`.
"""

from atm.engine.asyncio_engine.engine import AsyncioEngine

__all__ = ["AsyncioEngine"]
