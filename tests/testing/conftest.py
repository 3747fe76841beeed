from __future__ import annotations

import pytest

from atm.testing import TargetServer
from atm.testing.target_server.tokens import TokenMode


@pytest.fixture
def target(target: TargetServer) -> TargetServer:
    """The server of all tests, with tokens that a test can outlive."""
    target.set_token_mode(TokenMode.OK, expires_in=0.3)
    return target
