"""Which hosts count as this machine."""

from __future__ import annotations

import pytest

from atm.access.loopback import is_loopback


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "::1%lo", "localhost", "LOCALHOST"]
)
def test_loopback_addresses_and_localhost_are_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "0.0.0.0",
        "::",
        "10.0.0.1",
        "::ffff:10.0.0.1",
        "127.0.0.1.example.com",
        "a.localhost",
        "localhost.example.com",
    ],
)
def test_any_other_host_may_be_another_machine(host: str) -> None:
    assert not is_loopback(host)
