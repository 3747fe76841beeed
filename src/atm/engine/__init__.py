"""Engines send the requests of a plan; the executor takes one plan to its verdict.

May import `plan`, `metrics`, `models` and below; knows nothing of storage, the API or the terminal. Start with
`base.py` (the seam), then `executor.py`, then `asyncio_engine/`.
"""
