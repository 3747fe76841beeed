"""Compile what a user wrote into what an engine runs: templates, selection, pacing, and the inert `LoadPlan`.

Pure: no I/O, no clock; may import `models` and `errors` only. Start with `load_plan.py`, then `compile.py`.
"""
