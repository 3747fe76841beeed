"""Schedules: compute due times, fire them exactly once, record outcomes. Hosted by `atm serve` and `atm agent`.

May import `runs`, `storage`, `models` and below; only `triggers.py` imports APScheduler, and time is always read from
`Clock`. Start with `triggers.py` (due times), then `firing_policy.py` (fire, skip or missed), `scheduler.py` (firing)
and `service.py` (operations).
"""
