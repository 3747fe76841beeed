"""Notifications about the end of scheduled runs, delivered by signed webhook or through Apprise, with retries.

May import `runs`, `storage`, `models` and below; only `webhook.py` imports httpx, only `apprise_process.py` Apprise.
Start with `deliverer.py` (claim, send, retry), then `webhook.py` and `apprise_channel.py` (the two channels).
"""
