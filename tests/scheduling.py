"""Who runs what where pytest-xdist runs the tests in several processes.

The tests that look at the clock run in one process, one after another; most of their time they sleep. All others go to
whichever process has nothing to do.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

_LOOK_AT_THE_CLOCK = ("tests/contract/", "tests/engine/", "tests/testing/")
_DO_NOT = ("tests/contract/test_storage", "tests/contract/test_bundles")


class OneAfterAnother(LoadScopeScheduling):  # type: ignore[misc]  # xdist comes without types
    """Keeps together what has the same scope, the largest first."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(_LOOK_AT_THE_CLOCK) and not nodeid.startswith(_DO_NOT):
            return "clock"
        return nodeid
