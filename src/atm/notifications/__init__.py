"""Notifications: what is told about the end of a scheduled run, by signed webhook or through Apprise, until it arrives.

May import `runs`, `storage`, `models` and below; httpx has its home in `webhook.py`, Apprise in `apprise_process.py`.
Start with `deliverer.py` (claim, send, try again), then `webhook.py` and `apprise_channel.py` (the two ways).
"""
