"""The nouns: what a person writes (spec, load, auth, thresholds) and what a run leaves behind (metrics, verdict).

Models do no I/O and import nothing of this package but `errors`. Start with `spec.py`, then `outcome.py`, `run.py`.
"""
