"""What is counted and kept: the figures of the current second, books of iterations, samples, the generator's health.

Knows nothing of schedules, users or sockets: it is told what happened, and reads what it keeps through the protocols of
`sampler.py`. Start with `ledger.py`, then `endpoint_figures.py` (the hot path).
"""
