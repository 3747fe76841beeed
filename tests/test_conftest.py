"""What tests/conftest.py promises of property tests, seen from outside: a pytest of its own with that conftest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.repository import ROOT

PROPERTY = """
import pytest
from hypothesis import given, strategies
from tests.examples import examples

tried = []

@given(strategies.integers(0, 2**32))
@examples(3)
def test_draws(number):
    tried.append(number)

def test_shows_what_was_tried():
    print("tried", tried)

@pytest.mark.prove
def test_at_full_size():
    pass
"""


def run_pytest(folder: Path, profile: str, *arguments: str) -> str:
    (folder / "test_property.py").write_text(PROPERTY, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.conftest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:schemathesis",
        "-s",
        "-c",
        "pyproject.toml",
    ]
    result = subprocess.run(
        [*command, "--rootdir", str(folder), str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, "ATM_TEST_PROFILE": profile},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def tried(output: str) -> list[str]:
    [numbers] = re.findall(r"tried \[(.*)\]", output)
    return [number.strip() for number in str(numbers).split(",")]


def test_the_printed_seed_repeats_a_run(tmp_path: Path) -> None:
    first = run_pytest(tmp_path, "test")
    assert re.search(r"=+ 2 passed, 1 deselected in [\d.]+s =+$", first.strip())
    [seed] = re.findall(r"profile test, seed (\d+)", first)
    again = run_pytest(tmp_path, "test", f"--hypothesis-seed={seed}")
    assert tried(again) == tried(first)
    assert len(tried(first)) == 3


def test_prove_tries_more_and_runs_what_is_marked(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, "prove")
    assert len(tried(output)) == 60
    assert re.search(r"=+ 3 passed in ", output)


def test_what_was_left_out_is_said_by_several_processes_too(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, "test", "--numprocesses=2")
    assert "1 tests at full size run in `make prove` only\n" in output
    assert re.search(r"=+ 2 passed, 1 deselected in [\d.]+s =+$", output.strip())


def test_an_unknown_profile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATM_TEST_PROFILE", "proof")
    result = subprocess.run([sys.executable, "-c", "import tests.examples"], cwd=ROOT, capture_output=True, text=True)
    assert result.stderr.endswith("ValueError: ATM_TEST_PROFILE is 'proof', known are test, prove\n")
