"""The asyncio engine: HTTP/1.1 from one Python thread, with the accounting of every request.

Its four parts are `schedule` (what starts when), `users` (iterations and requests), `transport` (how bytes travel) and
`ledger` (what is counted); `run.py` is the loop that owns them, `engine.py` the thread around it. May import what
`engine` may, and is the only home of httptools and uvloop. Start with `run.py`.
"""

from atm.engine.asyncio_engine.engine import AsyncioEngine

__all__ = ["AsyncioEngine"]
