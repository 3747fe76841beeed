"""Runs as supervised processes: accepted, queued, claimed, sent, recorded, watched, and ended truthfully.

May import `engine`, `storage` and below. Start with `service.py` (what can be asked), then `supervisor.py` (who starts
runs and sees them end), `recorder_process.py` (keeps a run's history) and `runner_process.py` (sends the load).
"""
