"""The Control API: REST, server-sent events and a WebSocket, for browsers, programs and agents.

May import `bootstrap`, `runs` and below, and is the only package that imports FastAPI. Start with `app.py`, then
`routes/`, `guard.py` (authentication and authorisation) and `errors.py` (error responses).
"""

# Before anything else imports FastAPI.
import atm.api.late_models  # noqa: F401
