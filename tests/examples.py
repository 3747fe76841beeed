"""How many examples a property test tries. In `make test` they are those it asks for, but at most a hundred; in
`make prove` twenty times those it asks for.

@given(...)
@examples(100)
def test_the_counts_add_up(...): ...
"""

from __future__ import annotations

import os

from hypothesis import settings

PROFILE = os.environ.get("ATM_TEST_PROFILE", "test")
_PROFILES = ("test", "prove")
_MOST_OF_A_TEST = 100
_FACTOR_OF_A_PROOF = 20

if PROFILE not in _PROFILES:
    raise ValueError(f"ATM_TEST_PROFILE is {PROFILE!r}, known are {', '.join(_PROFILES)}")


def examples(count: int) -> settings:
    """Decorate a property test with its number of examples."""
    return settings(max_examples=_FACTOR_OF_A_PROOF * count if PROFILE == "prove" else min(count, _MOST_OF_A_TEST))
