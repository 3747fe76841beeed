"""The house itself: public names, locks, dependencies, make targets, set-up messages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

import atm
from tools import generate, guard
from tools.repository import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout, so no list of project files")


def run_bare(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as from a shell of its own, not as a part of the `make` that may have started the tests."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        command, cwd=ROOT, env={**inherited, **environment}, capture_output=True, text=True, check=False
    )


def test_the_public_names_are_sorted_and_exist() -> None:
    assert list(atm.__all__) == sorted(atm.__all__)
    assert len(set(atm.__all__)) == len(atm.__all__)
    for name in atm.__all__:
        assert hasattr(atm, name), f"atm.__all__ names {name}, which does not exist"


def test_nothing_is_public_by_accident() -> None:
    visible = {
        name
        for name, value in vars(atm).items()
        if not name.startswith("_")
        and not isinstance(value, types.ModuleType)
        and name not in {"annotations", "TYPE_CHECKING"}
    }
    assert visible <= set(atm.__all__)


def test_there_is_a_lock_for_each_purpose() -> None:
    assert [lock.name for lock in LOCKS] == [
        "bootstrap.txt",
        "dev.txt",
        "native.txt",
        "ray.txt",
        "runtime.txt",
        "server.txt",
    ]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_locks_hold_versions_and_hashes_and_no_addresses(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert text.count("==") >= 1
    assert list(guard.unhashed(lock.name, text)) == []
    assert list(guard.findings(f"requirements/{lock.name}", text)) == []


def versions(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE))


def all_versions() -> dict[str, str]:
    """All that is locked; Ray, which set-up does not install, and what it needs are in a lock of their own."""
    return versions(ROOT / "requirements" / "ray.txt") | versions(ROOT / "requirements" / "dev.txt")


def test_all_locks_agree_on_versions() -> None:
    for lock in LOCKS:
        assert versions(lock).items() <= all_versions().items()


def test_setup_does_not_install_ray() -> None:
    assert "ray" not in versions(ROOT / "requirements" / "dev.txt")
    assert "ray" in versions(ROOT / "requirements" / "ray.txt")


def named_dependencies() -> set[str]:
    """The dependencies that we ask for by name, as the locks spell them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for extra in project["project"].get("optional-dependencies", {}).values():
        lines += extra
    for source in (ROOT / "requirements").glob("*.in"):
        lines += source.read_text(encoding="utf-8").splitlines()
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines)
    return {re.sub(r"[-_.]+", "-", name.group()).lower() for name in names if name}


def test_every_dependency_says_why_it_is_here() -> None:
    reasons = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| (`.+?`) \|", reasons, flags=re.MULTILINE)
    explained = {name.lower() for cell in first_cells for name in re.findall(r"`([^`]+)`", cell)}
    assert explained == named_dependencies() | named_crates()


def named_crates() -> set[str]:
    """The crates that the native engine names, for itself and for its tests; its own ones left out."""
    named: set[str] = set()
    for manifest in sorted((ROOT / "native").glob("*/Cargo.toml")):
        document = tomllib.loads(manifest.read_text(encoding="utf-8"))
        for table in (document, *document.get("target", {}).values()):
            for kind in ("dependencies", "dev-dependencies"):
                named |= {name for name, wanted in table.get(kind, {}).items() if "path" not in wanted}
    return named


def test_every_dependency_is_locked() -> None:
    assert named_dependencies() <= all_versions().keys()


def test_bare_make_lists_every_target_with_a_line() -> None:
    listing = run_bare(["make"])
    assert listing.returncode == 0, listing.stderr
    listed = dict(re.findall(r"^  make (\S+)\s+(\S.*)$", listing.stdout, flags=re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    [phony] = re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)
    assert list(listed) == phony.split()
    assert listed == dict(generate.make_targets())
    assert max(map(len, listing.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('case "$2" in *python_version*) echo 3.9.2;; *version_info*) exit 1;; esac', "3.11 or newer is needed"),
        ('case "$2" in *python_version*) echo 3.12.1;; *ensurepip*) exit 1;; esac', "without the venv module"),
        ("exit 127", "does not start"),
    ],
)
def test_set_up_says_what_is_wrong_with_a_python(script: str, message: str, tmp_path: Path) -> None:
    python = tmp_path / "python-of-old"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    result = run_bare(["sh", "tools/setup.sh", str(python)])
    assert result.returncode == 2
    first, hint = result.stderr.splitlines()
    assert first.startswith("error: ")
    assert message in first
    assert hint.startswith("  hint: ")


def test_set_up_says_that_there_is_no_python() -> None:
    result = run_bare(["sh", "tools/setup.sh", "python-that-is-nowhere"])
    assert result.returncode == 2
    assert result.stderr.startswith("error: python-that-is-nowhere was not found\n  hint: ")


@needs_git
def test_no_file_names_a_package_index_or_a_path_of_one_machine() -> None:
    result = run_bare([sys.executable, "-m", "tools.guard"])
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("requirements/dev.txt", "--index-url https" + "://mirror.example/simple"),
        ("requirements/dev.txt", "rich @ file" + ":///wheels/rich.whl"),
        ("requirements/dev.in", "-f wheels"),
        ("webapp/package-lock.json", '"resolved": "https' + '://mirror.example/x.tgz"'),
        ("pyproject.toml", "index-url" + ' = "mirror"'),
        ("docs/tutorial.md", "cd /ho" + "me/anna/atm"),
        ("src/atm/clock.py", 'PATH = "/ro' + 'ot/atm"'),
    ],
)
def test_the_guard_refuses(name: str, line: str) -> None:
    assert len(list(guard.findings(name, f"first\n{line}\n"))) >= 1


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("native/Cargo.lock", 'source = "registry+https' + '://github.com/rust-lang/crates.io-index"'),
        ("webapp/package-lock.json", '        "url": "https' + '://opencollective.example/fund"'),
        ("docs/tutorial.md", "atm run https://api.example.com/home/page/"),
        ("tools/lock.sh", "uv pip compile --no-emit-index-url --no-emit-find-links"),
    ],
)
def test_the_guard_lets_pass(name: str, line: str) -> None:
    assert list(guard.findings(name, line)) == []


def test_the_guard_finds_requirements_without_a_hash() -> None:
    lock = "# head\nrich==15.0 \\\n    --hash=sha256:aa\nhttpx==0.28\ntyper \\\n    --hash=sha256:bb\n"
    assert [finding.split(": ")[-1] for finding in guard.unhashed("dev.txt", lock)] == ["httpx==0.28", "typer \\"]


@pytest.mark.parametrize("generated", generate.GENERATED, ids=lambda generated: generated.path)
def test_generated_files_are_up_to_date(generated: generate.Generated) -> None:
    assert (ROOT / generated.path).read_text(encoding="utf-8") == generated.render()
