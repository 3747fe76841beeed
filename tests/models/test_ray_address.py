"""Addresses of Ray clusters, as users write them."""

from __future__ import annotations

import pytest

from atm.errors import SpecError
from atm.models.ray_address import parse_ray_address


@pytest.mark.parametrize(
    ("text", "target", "is_loopback"),
    [
        ("ray://head:10001", "head:10001", False),
        ("ray://head.example.com", "head.example.com:10001", False),
        ("ray://10.0.0.7:7000/", "10.0.0.7:7000", False),
        ("ray://127.0.0.1:10001", "127.0.0.1:10001", True),
        ("ray://127.9.9.9:1", "127.9.9.9:1", True),
        ("ray://localhost:10001", "localhost:10001", True),
        ("ray://[::1]:10001", "[::1]:10001", True),
        ("ray://[fd00::1]:10001", "[fd00::1]:10001", False),
        ("ray://localhost.example.com:10001", "localhost.example.com:10001", False),
    ],
)
def test_a_cluster_has_host_and_port(text: str, target: str, is_loopback: bool) -> None:
    address = parse_ray_address(text)
    assert (address.target, address.is_loopback, address.is_local) == (target, is_loopback, False)
    assert parse_ray_address(str(address)) == address


def test_ray_local_is_started_here() -> None:
    address = parse_ray_address(" ray:local ")
    assert (str(address), address.is_local, address.is_loopback) == ("ray:local", True, True)


@pytest.mark.parametrize(
    "text", ["", "ray", "ray:", "ray://", "head:10001", "http://head:10001", "ray://head:0", "ray://head:70000",
             "ray://user@head:1", "ray://head:10001/x", "ray:LOCAL", "ray://a b:1"]
)  # fmt: skip
def test_anything_else_is_refused_with_the_forms_that_exist(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_ray_address(text, "fleet.on")
    [problem] = caught.value.problems
    assert (problem.code, problem.path) == ("invalid_fleet_address", "fleet.on")
    assert "ray:local, or ray://HOST:PORT" in problem.hint
