"""`atm try` of Python files: one iteration of each scenario, with the steps that it turned out to have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from atm.cli.main import main
from atm.testing import TargetServer
from tests.code.files import written

TWO = """
@atm.scenario(weight=3)
async def checkout(user: atm.User) -> None:
    cart = await user.get("/fixed", name="cart")
    cart.check("is there", cart.status == 200)
    await user.get("/users", name="list")

@atm.scenario
async def browse(user: atm.User) -> None:
    await user.get("/health")
    {rest}
"""


def file(folder: Path, rest: str) -> str:
    return str(written(folder, TWO.replace("{rest}", rest)))


def test_each_scenario_runs_once_and_shows_its_steps(
    tmp_path: Path, target: TargetServer, capsys: pytest.CaptureFixture[str]
) -> None:
    target.reset()
    assert main(["try", file(tmp_path, "pass"), "--base-url", target.url]) == 0
    said = capsys.readouterr().out
    places = [said.index(f" ✓ {name}  200  ok") for name in ("checkout/cart", "checkout/list", "browse/GET /health")]
    assert places == sorted(places)
    assert "✓ is there" in said
    assert sorted(row.route for row in target.record()) == ["/fixed", "/health", "/users"]


def test_an_exception_is_shown_with_its_traceback_and_is_not_as_expected(
    tmp_path: Path, target: TargetServer, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file(tmp_path, 'raise ValueError("no stock")')
    assert main(["try", path, "--host", target.url]) == 99
    said = capsys.readouterr().out
    assert " ✗ browse\n   ValueError: no stock (shop.py:" in said
    assert 'raise ValueError("no stock")' in said
    assert main(["try", path, "--host", target.url, "--json"]) == 99
    document = json.loads(capsys.readouterr().out)
    assert [each["endpoint"] for each in document["endpoints"]] == [
        "checkout/cart",
        "checkout/list",
        "browse/GET /health",
    ]
    assert [each["scenario"] for each in document["exceptions"]] == ["browse"]


def test_a_locustfile_is_tried_too(tmp_path: Path, target: TargetServer, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "locustfile.py"
    path.write_text(
        "from locust import HttpUser, task\n\n"
        "class Shop(HttpUser):\n"
        "    @task\n"
        "    def one(self):\n"
        '        self.client.get("/users", name="users")\n'
    )
    assert main(["try", str(path), "--host", target.url]) == 0
    assert " ✓ Shop/users  200  ok" in capsys.readouterr().out
