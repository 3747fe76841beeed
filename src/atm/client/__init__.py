"""A typed client of the Control API: what a server can do, as methods that answer with models and raise our errors.

May import `models` and below, and httpx. Start with `control.py` and `schedules.py`; `connection.py` is how it asks and
what becomes of everything that goes wrong, `events.py` how a stream is followed without loss.
"""

from atm.client.control import ControlClient

__all__ = ["ControlClient"]
