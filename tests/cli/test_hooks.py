"""`setup` and `teardown` of `atm run` and `atm try` as processes: signals, and what is printed."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from atm.testing import TargetServer
from tests.cli.test_run import atm, check_exit, started, wait_for_line

SECRET = "t0ken-of-the-setup"
FAILING = {"GET": "/status/503?as=setup", "name": "log in", "extract": {"token": "status"}}


def spec_file(folder: Path, target: TargetServer, **fields: Any) -> str:
    spec = {
        "name": "hooks",
        "base_url": target.url,
        "duration": 60,
        "load": {"users": 2},
        "setup": [
            {
                "POST": "/echo?as=setup",
                "body": SECRET,
                "extract": {"token": {"json": "$.body", "secret": True}},
            }
        ],
        "scenarios": {"s": {"steps": [{"GET": "/delay/50?as=load", "headers": {"X-Own": "{{token}}"}}]}},
        "teardown": [{"GET": "/fixed?as=teardown", "headers": {"X-Own": "{{token}}"}}],
        **fields,
    }
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    return str(path)


def routes(target: TargetServer) -> list[str]:
    target.settled_stats()
    return [row.route for row in target.record()]


def check_once(target: TargetServer) -> None:
    """Setup came exactly once and first, teardown exactly once and last."""
    came = routes(target)
    assert (came[0], came[-1]) == ("setup", "teardown")
    assert (came.count("setup"), came.count("teardown")) == (1, 1)


def test_the_report_has_a_line_for_each(target: TargetServer, tmp_path: Path) -> None:
    html = tmp_path / "report.html"
    process = atm("run", spec_file(tmp_path, target, duration=None, total_requests=6), "-o", str(html))
    check_exit(process, 0)
    check_once(target)
    assert " ✓ SETUP        passed · 1 step in " in process.stdout
    assert " ✓ TEARDOWN     passed · 1 step in " in process.stdout
    assert "setup: 1 step\n" in process.stderr
    assert "teardown: 1 step, up to 30 s · Ctrl-C skips it\n" in process.stderr
    assert html.read_text(encoding="utf-8").count("passed · 1 step in ") == 2


def test_a_failed_setup_is_an_error_with_step_message_and_hint(target: TargetServer, tmp_path: Path) -> None:
    path = spec_file(tmp_path, target, setup=[FAILING])
    process = atm("run", path)
    assert process.returncode == 1
    check_once(target)
    said = " ".join(process.stdout.split())
    assert "✗ ERROR at 00:00 of 01:00: setup failed: setup/log in: 503, expected 200, 201 or 204" in said
    assert "✗ SETUP failed at setup/log in: 503, expected 200, 201 or 204 · 1 step in " in said
    assert "hint: Correct the step, or add `on_fail: continue` to it" in said


def test_teardown_follows_an_interrupt(target: TargetServer, tmp_path: Path) -> None:
    process = started("run", spec_file(tmp_path, target))
    wait_for_line(process, "00:01")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 130
    check_once(target)
    assert " ■ STOPPED      by Ctrl-C at 00:0" in output
    assert " ✓ TEARDOWN     passed · 1 step in " in output


def test_an_interrupt_during_teardown_skips_the_rest_and_says_so(target: TargetServer, tmp_path: Path) -> None:
    steps = [{"GET": "/fixed?as=teardown"}, {"think": "1h"}, {"GET": "/fixed?as=never"}]
    process = started("run", spec_file(tmp_path, target, teardown=steps, teardown_timeout="1h"))
    wait_for_line(process, "00:01")
    process.send_signal(signal.SIGINT)
    wait_for_line(process, "teardown: 2 steps, up to 1 h · Ctrl-C skips it")
    process.send_signal(signal.SIGINT)
    output, said = process.communicate(timeout=200)
    assert process.returncode == 130
    assert "skipping the rest of teardown" in said
    assert "TEARDOWN     skipped: Ctrl-C · " in output
    assert "never" not in routes(target)


def test_a_trial_runs_both_around_its_requests(target: TargetServer, tmp_path: Path) -> None:
    process = atm("try", spec_file(tmp_path, target))
    assert process.returncode == 0
    assert routes(target) == ["setup", "load", "teardown"]
    assert "   > X-Own: ***\n" in process.stdout
    assert SECRET not in process.stdout


def test_a_trial_whose_setup_fails_says_why(target: TargetServer, tmp_path: Path) -> None:
    process = atm("try", spec_file(tmp_path, target, setup=[FAILING]))
    assert process.returncode == 1
    assert routes(target) == ["setup", "teardown"]
    assert "setup failed: setup/log in: 503, expected 200, 201 or 204" in process.stderr
    assert "hint: Correct the step" in process.stderr
