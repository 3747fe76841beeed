"""Counts and samples: figures of the current second, iteration books, samples, the generator's health.

Knows no schedules, users or sockets: the other parts report events to it, and it reads sampled requests through the
protocols of `sampler.py`. Start with `ledger.py`, then `endpoint_figures.py` (the hot path).
"""
