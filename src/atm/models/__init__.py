"""The data models: what a user writes (spec, load, auth, thresholds) and what a run produces (metrics, verdict).

Models do no I/O and import nothing of this package but `errors`. Start with `spec.py`, then `outcome.py`, `run.py`.
"""
