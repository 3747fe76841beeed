from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.security.listener import Recorder


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    opened = Recorder()
    yield opened
    opened.close()
