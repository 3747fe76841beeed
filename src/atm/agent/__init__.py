"""The agent: runs schedules, their runs and notifications in a process without an API.

May import `bootstrap` and everything below. It has only `main.py`; the work is done by `schedules`, `notifications` and
`runs`.
"""
