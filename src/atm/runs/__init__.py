"""Runs as supervised processes: accepted, queued, claimed, sent, recorded, watched and ended.

May import `engine`, `storage` and below. Start with `service.py` (the operations), then `supervisor.py` (claims runs
and makes sure that each one ends), `recorder_process.py` (writes a run's history) and `runner_process.py` (sends the
load).
"""
