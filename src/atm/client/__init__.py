"""A typed client of the Control API: methods return models and raise the errors of `atm.errors`.

May import `models` and below, and httpx. Start with `control.py` and `schedules.py`; `connection.py` sends requests and
translates errors, `events.py` follows event streams without loss.
"""

from atm.client.control import ControlClient

__all__ = ["ControlClient"]
