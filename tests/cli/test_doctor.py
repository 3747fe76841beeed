from __future__ import annotations

import json
from pathlib import Path

import pytest

from atm.cli import machine
from atm.cli.machine import Health
from atm.cli.main import main


def test_doctor_names_the_engine_and_the_limits(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor"])
    text = capsys.readouterr().out
    for name in ("versions", "engine", "file descriptors", "cores", "timer"):
        assert f" {name} " in text


def test_doctor_as_json_has_the_same_checks(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    assert {"name", "health", "fact", "hint"} == set(checks[0])


def test_few_file_descriptors_are_a_warning() -> None:
    assert machine.file_descriptors((1_024, 4_096)).health == Health.WARN
    assert machine.file_descriptors((1_024, 65_536)).health == Health.GOOD
    assert machine.file_descriptors((-1, -1)).health == Health.GOOD


def test_few_local_ports_are_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "range"
    path.write_text("32768\t40000\n")
    check = machine.local_ports(path)
    assert check is not None
    assert (check.health, check.fact) == (Health.WARN, "7,233 per target address (32768 to 40000)")
    assert machine.local_ports(tmp_path / "missing") is None


def test_a_container_below_one_core_is_bad(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    check = machine.cpu_quota(tmp_path)
    assert check is not None
    assert (check.health, check.fact) == (Health.BAD, "0.5 cores allowed by the container (cgroup)")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.cpu_quota(tmp_path) is None


def test_an_old_cgroup_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("250000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    check = machine.cpu_quota(tmp_path)
    assert check is not None
    assert check.fact == "2.5 cores allowed by the container (cgroup)"


@pytest.mark.parametrize(
    ("late", "health"), [(100_000, Health.GOOD), (1_000_000, Health.WARN), (5_000_000, Health.BAD)]
)
def test_a_late_timer_is_judged(late: int, health: Health) -> None:
    assert machine.timer([late] * 9).health == health


def test_a_busy_machine_is_a_warning() -> None:
    busy, idle = machine.busy(3.0, 2), machine.busy(0.2, 2)
    assert busy is not None
    assert idle is not None
    assert (busy.health, idle.health) == (Health.WARN, Health.GOOD)
