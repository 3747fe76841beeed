"""`setup` and `teardown` in a file of hooks: once for each run, their values in every template."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

import atm
from atm.models.outcome import RunOutcome
from atm.testing import TargetServer
from tests.code.test_hooks import counts, ran, sent_to, steps, write

BOTH = """
LOG = __file__ + ".log"

def log(text):
    with open(LOG, "a") as file:
        file.write(text + chr(10))

async def setup(context):
    await asyncio.sleep(0)
    log("setup")
    context.variables["region"] = "eu " + context.variables["base"]
    context.variables["numbers"] = [1, 2]
    context.secrets["ticket"] = "very-secret-ticket"

def user_start(user):
    log("user")
    assert user.variables["region"] == "eu plain"
    assert user.variables["ticket"] == "very-secret-ticket"
    user.variables["mine"] = user.variables["region"] + str(user.number)

def teardown(context):
    log("teardown " + context.variables["region"] + " " + context.secrets["ticket"])
"""
FLOW = """
- POST: /echo?u={{mine}}
  name: order
  headers: {X-Ticket: "{{ticket}}"}
  json: {region: "{{region}}", numbers: "{{numbers}}"}
"""


def logged(folder: Path) -> list[str]:
    """Return what the hooks have logged."""
    path = folder / "shop_hooks.py.log"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("processes", [1, 2])
def test_setup_and_teardown_run_once(tmp_path: Path, target: TargetServer, processes: int) -> None:
    spec = "variables: {base: plain}\n" + steps(FLOW) + "teardown:\n  - GET: /fixed?r={{region}}\n"
    if processes > 1:
        spec = f"fleet: {{processes: {processes}}}\n" + spec
    result = ran(tmp_path, target, BOTH, spec, total_requests=12, concurrency=4)
    assert counts(result) == {"s": (12, 12, 0)}
    assert sorted(logged(tmp_path)) == ["setup", "teardown eu plain very-secret-ticket", *["user"] * 4]
    assert result.setup is not None
    assert result.setup.status == "passed"
    assert result.teardown is not None
    assert result.teardown.status == "passed"
    sent = sent_to(target)
    orders = [each for each in sent if each.startswith(b"POST")]
    assert len(orders) == 12
    assert all(each.endswith(b'{"region":"eu plain","numbers":[1,2]}') for each in orders)
    assert all(b"\r\nX-Ticket: very-secret-ticket\r\n" in each for each in orders)
    assert {each.split(b" ")[1] for each in orders} == {b"/echo?u=eu%%20plain%d" % number for number in range(1, 5)}
    assert [each.split(b" ")[1] for each in sent if each.startswith(b"GET")] == [b"/fixed?r=eu%20plain"]
    assert "very-secret-ticket" not in result.model_dump_json()


def test_an_error_of_setup_ends_the_run_before_the_load(tmp_path: Path, target: TargetServer) -> None:
    code = """
    def setup(context):
        raise LookupError("no database")

    def teardown(context):
        pathlib.Path(__file__ + ".log").write_text("teardown")
    """
    result = ran(tmp_path, target, code, steps("- GET: /fixed\n"), total_requests=5)
    assert result.verdict.outcome is RunOutcome.ERROR
    assert result.run.error == "setup failed: LookupError: no database (shop_hooks.py:10)"
    assert 'raise LookupError("no database")' in result.exceptions[0].traceback
    assert target.settled_stats().received == 0
    assert logged(tmp_path) == ["teardown"]


def test_what_setup_sets_must_be_written_in_templates(tmp_path: Path, target: TargetServer) -> None:
    code = 'def setup(context):\n    context.variables["day"] = object()\n'
    result = ran(tmp_path, target, code, steps("- GET: /fixed?d={{day}}\n"), total_requests=5)
    assert "object" in (result.run.error or "")
    assert target.settled_stats().received == 0


@pytest.mark.parametrize("code", ["time.sleep(60)", "[time.sleep(0.01) for _ in range(10_000)]"])
def test_a_stop_ends_setup_that_blocks(tmp_path: Path, target: TargetServer, code: str) -> None:
    path = write(tmp_path, target, f"def setup(context):\n    {code}\n", steps("- GET: /fixed\n"))
    control = atm.Control()
    threading.Timer(0.3, control.stop).start()
    began = time.monotonic()
    result = atm.run_sync(str(path), control=control)
    assert time.monotonic() - began < 20
    assert result.setup is not None
    assert result.setup.status == "stopped"
    assert target.settled_stats().received == 0


def test_teardown_runs_after_a_cancel(tmp_path: Path, target: TargetServer) -> None:
    code = 'def teardown(context):\n    pathlib.Path(__file__ + ".log").write_text("teardown")\n'
    path = write(tmp_path, target, code, steps("- GET: /delay/5000\n"), duration="60s")
    control = atm.Control()
    threading.Timer(0.3, control.cancel).start()
    result = atm.run_sync(str(path), control=control)
    assert result.verdict.outcome is RunOutcome.CANCELLED
    assert logged(tmp_path) == ["teardown"]
    assert json.loads(result.model_dump_json())["teardown"]["status"] == "passed"


def test_code_reads_what_setup_sets_and_its_secrets_are_shown_nowhere(tmp_path: Path, target: TargetServer) -> None:
    (tmp_path / "shop.py").write_text(
        "import atm\n\n\n@atm.scenario\nasync def buy(user):\n"
        '    ticket, region = user.variables["ticket"], user.variables["region"]\n'
        '    await user.get("/fixed", params={"r": region}, headers={"X-Ticket": ticket}, name="of " + ticket)\n'
        '    user.fail("refused: " + ticket)\n'
    )
    code = """
    def setup(context):
        context.variables["region"] = "eu"
        context.secrets["ticket"] = "very-secret-ticket"
    """
    spec = "scenarios:\n  buy: {code: 'shop.py:buy'}\n"
    result = ran(tmp_path, target, code, spec, total_requests=3, concurrency=1)
    assert counts(result) == {"buy": (3, 0, 3)}
    assert all(b"/fixed?r=eu " in each and b"X-Ticket: very-secret-ticket" in each for each in sent_to(target))
    assert [entry.name for entry in result.endpoint_metrics] == ["buy/of ***"]
    assert [raised.message for raised in result.exceptions] == ["refused: *** (shop.py:8)"]
    assert "very-secret-ticket" not in result.model_dump_json()
