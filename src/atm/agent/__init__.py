"""The agent: schedules, notifications and the runs that they start, in a process without an API.

May import `bootstrap` and everything below. `main.py` is all there is: what it hosts lives in `schedules`,
`notifications` and `runs`.
"""
