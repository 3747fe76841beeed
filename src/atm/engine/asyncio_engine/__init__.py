"""The asyncio engine: HTTP/1.1 from one Python thread, with the accounting of every request.

May import what `engine` may, and is the only home of httptools and uvloop. Start with `engine.py` (the thread), then
`run.py` (what its users share), `open_model.py` and `closed_model.py` (who sends when), `user.py` (the course of a
request) and `connection.py` (its bytes).
"""

from atm.engine.asyncio_engine.engine import AsyncioEngine

__all__ = ["AsyncioEngine"]
