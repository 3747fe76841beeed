"""Schedules: when a test is due, who fires it, and what becomes of it. Hosted by `atm serve` and by `atm agent`.

May import `runs`, `storage`, `models` and below; APScheduler has its home in `triggers.py`, and nothing here reads a
clock of its own. Start with `triggers.py` (when), then `firing_policy.py` (what to do), `scheduler.py` (exactly once)
and `service.py` (what can be asked).
"""
