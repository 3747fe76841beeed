"""Guards for times that the machine takes part in.

A test compares with the target's own record, or with the lag that the engine itself reports, wherever one of them says
what happened. Where only a bar is left, `make test` gives the machine a part of it: it runs beside other work, and on
shared machines. `make prove` wants a quiet machine, and holds the bar itself.
"""

from __future__ import annotations

from tests.examples import PROFILE

_FACTOR = 1 if PROFILE == "prove" else 10


def allowed(bar: float) -> float:
    """How much a time may be off that should be off by `bar` at most."""
    return bar * _FACTOR
