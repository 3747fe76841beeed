"""The Control API: REST, server-sent events and a WebSocket over the same runs, for browsers, programs and agents.

May import `bootstrap`, `runs` and below; the only home of FastAPI. Start with `app.py`, then `routes/`, then `guard.py`
(who may ask at all) and `errors.py` (what becomes of everything that goes wrong).
"""
