"""What `make build` makes is enough to work with, and set-up does without a Rust toolchain."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from atm.api.dashboard import STATIC
from atm.engine.native_engine import load_native_engine
from tools.repository import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="set-up and build are targets of make")


def call(command: Sequence[str | Path], **fields: object) -> subprocess.CompletedProcess[str]:
    """Run a command as a person would whose shell knows nothing of this test run."""
    inherited = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL")
    environment = {name: value for name, value in os.environ.items() if name not in inherited}
    environment.update(fields.pop("env", {}))  # type: ignore[call-overload]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **fields)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    result: subprocess.CompletedProcess[str] = done
    return result


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What `make build` makes, by name."""
    dist = tmp_path_factory.mktemp("build") / "dist"
    call(["make", "--no-print-directory", "build", f"DIST={dist}"], cwd=ROOT)
    return sorted(dist.glob("*.whl"))


@pytest.mark.timeout(600)
def test_the_wheel_carries_the_dashboard_as_it_was_built(wheels: Sequence[Path]) -> None:
    built = {path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*") if path.is_file()}
    if "index.html" not in built:
        pytest.skip("the dashboard is not built here: `make build` builds it, and needs Node.js")
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = [name for name in wheel.namelist() if name.startswith("atm/api/static/")]
        assert {name.removeprefix("atm/api/static/") for name in names} == built.keys()
        page = wheel.read("atm/api/static/index.html")
        named = set(re.findall(r"/(_app/immutable/[^\"']+)", page.decode()))
    assert page == built["index.html"].read_bytes()
    assert named
    assert named <= built.keys()


@pytest.mark.timeout(600)
def test_the_wheels_are_enough_for_a_demo_in_an_empty_environment(wheels: Sequence[Path], tmp_path: Path) -> None:
    names = [wheel.name.split("-")[0] for wheel in wheels]
    built = load_native_engine() is not None
    assert names == (["api_test_machine", "atm_engine"] if built else ["api_test_machine"])

    uv, python = Path(sys.executable).parent / "uv", tmp_path / "env" / "bin" / "python"
    call([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "env"])
    into: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", python]
    call([*into, "--require-hashes", "--requirements", ROOT / "requirements" / "runtime.txt"])
    call([*into, "--no-deps", "--offline", *wheels])

    demo: list[str | Path] = [python.with_name("atm"), "demo", "--json"]
    document = json.loads(call(demo, cwd=tmp_path, env={"ATM_DATA_DIR": str(tmp_path / "data")}).stdout)
    assert document["run"]["engine"] == ("native" if built else "asyncio")
    assert document["metrics"]["total_requests"] > 1000


WITHOUT = {
    "no Rust toolchain": (("cc",), "no Rust toolchain, so no native engine"),
    "no C compiler": (("cargo",), "no C compiler (cc), so no native engine"),
    "no registry": (
        ("cc", "cargo"),
        "the Rust crates could not be fetched (see .venv/native.log), so no native engine",
    ),
}


@pytest.mark.parametrize(("programs", "why"), WITHOUT.values(), ids=WITHOUT)
def test_set_up_goes_on_without_a_native_engine_and_says_so_in_a_line(
    tmp_path: Path, programs: Sequence[str], why: str
) -> None:
    """The step of set-up that builds it, in a checkout of its own, on a machine that has only these programs."""
    for folder in ("tools", "bin", ".venv"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "tools" / "native.sh", tmp_path / "tools")
    for name in ("dirname", "touch", "rm", "cat"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / "bin" / name).symlink_to(found)
    for name in programs:
        program = tmp_path / "bin" / name
        program.write_text("#!/bin/sh\necho the registry is out of reach >&2\nexit 101\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    stamp = tmp_path / ".venv" / ".native-absent"
    shell = shutil.which("sh")
    assert shell is not None
    done = call([shell, tmp_path / "tools" / "native.sh", stamp], env={"PATH": str(tmp_path / "bin")})
    *_, last = done.stdout.splitlines()
    assert last == f"set-up: {why}: the asyncio engine serves (same figures, lower ceiling)"
    assert done.stderr == ""
    assert stamp.exists()
