"""How many examples a property test tries: at least what it asks for in `make test`, twenty times that in `make prove`.

@given(...)
@examples(100)
def test_the_counts_add_up(...): ...
"""

from __future__ import annotations

import os

from hypothesis import settings

PROFILE = os.environ.get("ATM_TEST_PROFILE", "test")
_FACTORS = {"test": 1, "prove": 20}

if PROFILE not in _FACTORS:
    raise ValueError(f"ATM_TEST_PROFILE is {PROFILE!r}, known are {', '.join(_FACTORS)}")


def examples(count: int) -> settings:
    """A decorator that has a property test try `count` examples, and more of them under `make prove`."""
    return settings(max_examples=count * _FACTORS[PROFILE])
